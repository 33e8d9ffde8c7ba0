#!/usr/bin/python
"""Ansible module: wait until the web server's /health/ answers 200."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_health
short_description: Wait until /health/ answers 200, and say what it lacks where it does not
options:
  budget:
    description: Seconds.
    type: float
    required: true
  port:
    description: The public port, asked on 127.0.0.1.
    type: int
    required: true
  server_name:
    description: The site's name.
    type: str
    required: true
author: the project
"""

RETURN = r"""
seconds:
  description: How long it took until 200.
  type: float
  returned: success
"""

import http.client
import ssl
import time

from ansible.module_utils.basic import AnsibleModule

POLL_SECONDS = 0.3
ANSWER_SECONDS = 6  # a page takes less than 3 s, also when all backends are silent


def ask(port: int, server_name: str) -> tuple[int | None, str]:
    """The status of /health/ and what it says; None and a reason where nothing answers."""
    context = ssl.create_default_context()
    context.check_hostname = False  # asked by 127.0.0.1; whom the certificate is for is the browser's question
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=ANSWER_SECONDS, context=context)
    try:
        connection.request("GET", "/health/", headers={"Host": server_name})
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return None, str(error)
    finally:
        connection.close()


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "budget": {"type": "float", "required": True},
            "port": {"type": "int", "required": True},
            "server_name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    while True:
        status, words = ask(module.params["port"], module.params["server_name"])
        elapsed = time.monotonic() - started
        if status == 200:  # noqa: PLR2004
            module.exit_json(changed=False, seconds=round(elapsed, 1))
        if elapsed >= module.params["budget"]:
            answered = f"answers {status}: {words}" if status else f"does not answer: {words}"
            module.fail_json(
                msg=f"after {elapsed:.0f} s https://127.0.0.1:{module.params['port']}/health/ still {answered}. "
                "Both servers' containers run, so look at the way between them: "
                "docker exec wireguard-web wg show wg0, and UDP port and address of the services server."
            )
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
