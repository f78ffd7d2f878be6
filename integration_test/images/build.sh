#!/usr/bin/env bash
# Builds PostgreSQL images for the dockertest rung of `make test`, for machines that reach Debian's
# packages but no container registry. Where `docker pull postgres:17-alpine` works, this is not
# needed.
#
#   build.sh [VERSION ...]      13, 15, 17 or 18; 15 if none is named. 13-17 is both, for pg_upgrade
#   build.sh ha                 a node of `make ha`: PostgreSQL 15, Patroni, etcd, PgBouncer, HAProxy
#
# The result is webhooks-test-postgres:VERSION; an image that exists is not built again. The mirror
# is the one that this machine's apt uses. Needs root, Docker, and mmdebstrap (installed through
# apt-get where it is missing).
set -euo pipefail
cd "$(dirname "$0")"

# Each Debian release carries one PostgreSQL.
suite_of() {
  case "$1" in
    13) echo bullseye ;;
    15 | ha) echo bookworm ;;
    17) echo trixie ;;
    18) echo forky ;;
    13-17) ;; # no release has both: upgrade.Dockerfile
    *) echo "build.sh: no Debian release for PostgreSQL '$1'; there are 13, 15, 17, 18 and 13-17" >&2; exit 2 ;;
  esac
}

# What is installed. iptables is for the network of a node that is cut off.
packages_of() {
  case "$1" in
    ha) echo postgresql-15,patroni,python3-etcd,python3-psycopg2,etcd-server,etcd-client,pgbouncer,haproxy,iptables,iproute2,procps ;;
    *) echo "postgresql-$1" ;;
  esac
}

# The address of Debian's main archive, as apt has it: read from its indexes, so that sources.list,
# .sources files and anything that rewrites them are treated alike. Other archives (security,
# backports, third parties) are left out. Empty before the first apt-get update.
mirror() {
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# mirror, after an update if that is needed.
find_mirror() {
  from=$(mirror)
  [ -n "$from" ] && return
  apt-get update -qq
  from=$(mirror)
  [ -n "$from" ] && return
  echo "build.sh: this machine's apt has no Debian archive to build from" >&2
  exit 1
}

install_mmdebstrap() {
  command -v mmdebstrap >/dev/null && return
  echo "build.sh: installing mmdebstrap"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
}

# A root file system with PostgreSQL and what it needs, and little else. Notes on the options:
#  - variant=essential: without apt.
#  - createcluster.conf: the package would create a cluster when it is installed; the entrypoint creates ours.
#  - llvm and bitcode: the JIT is 150 MB that no test needs; PostgreSQL works without its plug-in.
#  - Check-Valid-Until: the Release file of an archived suite (bullseye) or of an old snapshot of a suite in development
#    (forky) may have expired; its signature is checked all the same.
root_file_system() {
  local version=$1 suite=$2 mirror=$3 tarball=$4
  mmdebstrap --quiet --variant=essential --include="$(packages_of "$version")" \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='force-confold' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/i18n/*' \
    --dpkgopt='path-exclude=/usr/lib/*/libLLVM*' \
    --dpkgopt='path-exclude=/usr/lib/llvm-*' \
    --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/llvmjit*' \
    --dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/bitcode/*' \
    --essential-hook='mkdir -p "$1/etc/postgresql-common"' \
    --essential-hook='echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook='upload docker-entrypoint.sh /usr/local/bin/docker-entrypoint.sh' \
    --customize-hook='chmod 0755 "$1/usr/local/bin/docker-entrypoint.sh"' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/* "$1"/etc/resolv.conf "$1"/etc/hostname' \
    "$suite" "$tarball" "$mirror"
}

# The same interface as the official image: environment, entrypoint, port and volume.
import() {
  local version=${1/ha/15} tarball=$2 tag=$3
  docker import \
    --change "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$version/bin" \
    --change 'ENV PGDATA=/var/lib/postgresql/data' \
    --change 'ENTRYPOINT ["docker-entrypoint.sh"]' \
    --change 'CMD ["postgres"]' \
    --change 'EXPOSE 5432' \
    --change 'VOLUME /var/lib/postgresql/data' \
    "$tarball" "$tag" >/dev/null
}

build() {
  local version=$1 tag=$prefix$1 suite began=$SECONDS
  suite=$(suite_of "$version")
  echo "build.sh: building $tag from Debian $suite"
  root_file_system "$version" "$suite" "$from" "$work/$version.tar"
  import "$version" "$work/$version.tar" "$tag"
  rm "$work/$version.tar"
  echo "build.sh: built $tag in $((SECONDS - began)) s"
}

docker info >/dev/null 2>&1 || { echo "build.sh: no Docker daemon answers here" >&2; exit 1; }
prefix=webhooks-test-postgres: missing=() both=
for version in "${@:-15}"; do
  suite_of "$version" >/dev/null
  if [ "$version" = 13-17 ]; then
    both=$version
    continue
  fi
  if docker image inspect "$prefix$version" >/dev/null 2>&1; then
    echo "build.sh: $prefix$version exists"
  else
    missing+=("$version")
  fi
done
# The image with two versions, once those of each are there.
build_both() {
  [ -z "$both" ] && return
  if docker image inspect "$prefix$both" >/dev/null 2>&1; then
    echo "build.sh: $prefix$both exists"
    return
  fi
  docker build --quiet --tag "$prefix$both" - <upgrade.Dockerfile >/dev/null
  echo "build.sh: built $prefix$both"
}

if [ ${#missing[@]} = 0 ]; then
  build_both
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install_mmdebstrap
find_mirror
builds=()
for version in "${missing[@]}"; do # together, since each waits for downloads half of the time
  build "$version" &
  builds+=($!)
done
status=0
for build in "${builds[@]}"; do
  wait "$build" || status=1
done
[ $status = 0 ] && build_both
exit $status
