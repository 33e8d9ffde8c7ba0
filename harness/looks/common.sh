# shellcheck shell=sh # read after section.sh
# Secret files by what may be known of them, and their content, which the collector seals and drops. Each process that
# is started here is started in every container at once, so there are few.
secret_paths() {
  for file in /run/secrets/* "${WG_PRIVATE_KEY_FILE:-}" "${WG_PRESHARED_KEY_FILE:-}" "${WG_PEER_PUBLIC_KEY_FILE:-}"; do
    if [ -f "$file" ]; then printf '%s\n' "$file"; fi
  done
}

secret_files() {
  secret_paths | xargs -r stat -L -c '%n %a %u'
}

secret_contents() {
  secret_paths | while read -r file; do
    printf '%s ' "$file"
    head -c 4096 "$file" | base64 -w 0
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
