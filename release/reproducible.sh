#!/usr/bin/env bash
# Builds the program twice, as `make build` does, from copies of the tree in two folders, with modules
# and build results of their own and another environment: the two binaries must have one sum, and
# be static. The first build uses the machine's build cache, the second an empty one, so that
# everything is compiled again, the standard library too (some seconds of work for a core).
set -euo pipefail
cd "$(dirname "$0")/.."
version=${VERSION:-0.0.0-reproducible}
modules=$(go env GOMODCACHE)

dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
one=$dir/one two=$dir/two/in/a/longer/folder
for copy in "$one" "$two"; do
  mkdir -p "$copy"
  git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -xf - -C "$copy"
done

go mod download
make -s -C "$one" build VERSION="$version"
(
  umask 077
  export HOME=$dir/home GOPATH=$dir/gopath GOMODCACHE=$dir/gopath/pkg/mod GOCACHE=$dir/cache TMPDIR=$dir/tmp
  export GOPROXY=file://$modules/cache/download GONOSUMDB='*' # what was downloaded above; go.sum is the judge
  export GOFLAGS=-modcacherw TZ=Asia/Shanghai LC_ALL=C USER=somebody
  mkdir -p "$TMPDIR"
  make -s -C "$two" build VERSION="$version"
)

sum() { sha256sum <"$1/webhooks" | cut -d ' ' -f 1; }
echo "$(go version | cut -d ' ' -f 3-): $(sum "$one") and $(sum "$two")"
if [ "$(sum "$one")" != "$(sum "$two")" ]; then
  echo "two builds of one source differ:"
  diff <(go version -m "$one/webhooks" | tail -n +2) <(go version -m "$two/webhooks" | tail -n +2) || true
  exit 1
fi
if grep -qaF -- "$dir" "$one/webhooks"; then
  echo "the binary contains the folder that it was built in"
  exit 1
fi
if command -v ldd >/dev/null && ldd "$one/webhooks" >/dev/null 2>&1; then
  echo "the binary is not static"
  exit 1
fi
"$one/webhooks" version | grep -qF "$version"
