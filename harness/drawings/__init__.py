"""Pictures for the report: from data to SVG, and nothing else. Nothing here looks at a deployment."""
