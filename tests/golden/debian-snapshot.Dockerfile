# A Debian root file system with the packages that were asked for, as an image of its own: made once per lock, then
# found again by its digest. This is the one place where apt runs.
FROM debian-registry AS debian
# Packages as they were at one moment: the base's own sources are replaced, all of them, and every index must be of the
# snapshot. Signatures are checked as ever; only expiry dates and TLS certificates, for which a base has no CA, are not.
RUN set -eux; \
    rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists/*; \
    printf '%s\n' \
        'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://snapshot.example.org/archive/debian/20261101T000000Z bookworm main' \
        'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://snapshot.example.org/archive/debian/20261101T000000Z bookworm-updates main' \
        'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://snapshot.example.org/archive/debian-security/20261101T000000Z bookworm-security main' \
        > /etc/apt/sources.list; \
    apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Retries=5 -o Acquire::https::Verify-Peer=false -o Acquire::https::Verify-Host=false update; \
    for file in /var/lib/apt/lists/*; do name=${file##*/}; case $name in lock|partial|auxfiles|snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm_*|snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm-updates_*|snapshot.example.org_archive_debian-security_20261101T000000Z_dists_bookworm-security_*) ;; *) echo "ingot: apt took $name, which is not of the snapshot" >&2; exit 1 ;; esac; done; ls /var/lib/apt/lists/snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm_*InRelease >/dev/null || { echo 'ingot: the snapshot gave no index snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm_' >&2; exit 1; }; ls /var/lib/apt/lists/snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm-updates_*InRelease >/dev/null || { echo 'ingot: the snapshot gave no index snapshot.example.org_archive_debian_20261101T000000Z_dists_bookworm-updates_' >&2; exit 1; }; ls /var/lib/apt/lists/snapshot.example.org_archive_debian-security_20261101T000000Z_dists_bookworm-security_*InRelease >/dev/null || { echo 'ingot: the snapshot gave no index snapshot.example.org_archive_debian-security_20261101T000000Z_dists_bookworm-security_' >&2; exit 1; }; \
    apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Retries=5 -o Acquire::https::Verify-Peer=false -o Acquire::https::Verify-Host=false install -y --no-install-recommends binutils ccache cmake g++ ninja-build unzip; \
    apt-get clean; \
    rm -rf /var/lib/apt /var/cache/apt /var/log/* /var/cache/ldconfig/aux-cache /var/cache/debconf /etc/apt \
        /var/lib/dpkg/*-old; \
    echo "app:x:10001:10001:app:/app:/usr/sbin/nologin" >> /etc/passwd; \
    echo "app:x:10001:" >> /etc/group

# What is installed, for the record.
FROM scratch AS dpkg-status
COPY --from=debian /var/lib/dpkg/status /
