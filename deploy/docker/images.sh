#!/usr/bin/env bash
# Builds what Dockerfile and compose.yaml are built from, for machines that reach Debian's packages but no
# container registry:
#
#   webhooks-packages-go        for golang: this machine's Go, with the modules of go.sum
#   webhooks-packages-postgres  for postgres: that of integration_test/images
#   webhooks-packages-files     for alpine, of which a release's image has the certificate authorities
#
# An image whose contents have not changed is not built again. Needs what integration_test/images/build.sh does.
set -euo pipefail
cd "$(dirname "$0")/../.."
export DOCKER_BUILDKIT=0 # no frontend or base image comes from a registry

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# built NAME SUM: is the image there, with that sum of what it is made of?
built() {
  [ "$(docker image inspect --format '{{ index .Config.Labels "contents" }}' "$1" 2>/dev/null)" = "$2" ]
}

sum_of() {
  cat "$@" | sha256sum | cut -c 1-16
}

# build is the classic builder, which says what it thinks of itself.
build() {
  docker build --quiet "$@" 2>"$work/errors" >/dev/null || { cat "$work/errors" >&2; return 1; }
}

integration_test/images/build.sh 17
contents=$(sum_of integration_test/images/*)
if ! built webhooks-packages-postgres "$contents"; then
  printf 'FROM webhooks-test-postgres:17\nCOPY docker-entrypoint.sh /usr/local/bin/\n' |
    build --label "contents=$contents" --tag webhooks-packages-postgres --file - integration_test/images
fi

if ! built webhooks-packages-files 1; then
  mkdir "$work/files"
  (cd "$work/files" && apt-get -o APT::Sandbox::User=root download -qq ca-certificates && dpkg-deb --extract ca-certificates_*.deb .)
  mkdir -p "$work/files/etc/ssl/certs"
  cat "$work"/files/usr/share/ca-certificates/mozilla/*.crt >"$work/files/etc/ssl/certs/ca-certificates.crt"
  tar -C "$work/files" -c etc | docker import --change 'LABEL contents=1' - webhooks-packages-files >/dev/null
fi

# Go, and a module proxy of files, since containers reach none. RUN needs a shell: that of PostgreSQL's image.
contents=$(go version | cat - go.sum | sha256sum | cut -c 1-16)
if ! built webhooks-packages-go "$contents"; then
  echo "images.sh: building webhooks-packages-go"
  go mod download
  context=$work/go modules=file://$(go env GOMODCACHE)/cache/download
  mkdir -p "$context/modules"
  GOMODCACHE=$context/cache GOPROXY=$modules go mod download # those of this module, of all that the machine has
  mv "$context/cache/cache/download" "$context/modules/download"
  chmod -R u+w "$context/cache" && rm -r "$context/cache"
  cp -r "$(go env GOROOT)" "$context/goroot"
  cat >"$context/Dockerfile" <<'END'
FROM webhooks-packages-postgres
ENTRYPOINT []
COPY --from=webhooks-packages-files /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY goroot /usr/local/go
COPY modules /modules
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GOPROXY=file:///modules/download GOTOOLCHAIN=local
END
  build --label "contents=$contents" --tag webhooks-packages-go "$context"
fi
