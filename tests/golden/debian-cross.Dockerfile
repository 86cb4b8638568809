# A Debian root file system with the packages that were asked for, as an image of its own: made once per lock, then
# found again by its digest. This is the one place where apt runs.
FROM debian-registry AS debian
RUN set -eux; \
    dpkg --add-architecture amd64; \
    apt-get update; \
    apt-get install -y --no-install-recommends binutils ccache cmake g++-x86-64-linux-gnu libstdc++-12-dev:amd64 ninja-build unzip; \
    apt-get clean; \
    rm -rf /var/lib/apt /var/cache/apt /var/log/* /var/cache/ldconfig/aux-cache /var/cache/debconf /etc/apt \
        /var/lib/dpkg/*-old; \
    echo "app:x:10001:10001:app:/app:/usr/sbin/nologin" >> /etc/passwd; \
    echo "app:x:10001:" >> /etc/group

# What is installed, for the record.
FROM scratch AS dpkg-status
COPY --from=debian /var/lib/dpkg/status /
