"""A deployment that is not this project's own but follows the same idea: other names, addresses, images and settings.

Nothing of it is assumed. Who plays which part is said by a `RoleMap`; where everybody is, is read from what runs.
"""
