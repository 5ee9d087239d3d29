# There are two ways to build the same small image:
#
#   docker build -t setpoint .
#       compiles the crate in the image $BUILDER (Rust 1.95 or newer, a C compiler, perl, make) and fetches its crates.
#   docker build -t setpoint --target prebuilt --build-arg BINARY=dist/setpoint .
#       uses an existing binary, static or linked against the C library of $BASE. CI does this.
#
# $BASE is any Debian-like image with /etc/ssl/certs/ca-certificates.crt; the image contains only that file and, for a dynamic binary,
# its libraries. If no registry can be reached, `.ci/image` makes such an image with debootstrap.
#
# To run it (the group is the one that owns the socket on the host):
#
#   docker run -d --name setpoint --network host --group-add "$(stat -c %g /var/run/docker.sock)" \
#       -v /var/run/docker.sock:/var/run/docker.sock -v setpoint-state:/var/lib/setpoint \
#       -v /etc/setpoint:/etc/setpoint:ro setpoint
ARG BASE=debian:bookworm-slim
ARG BUILDER=rust:1-bookworm

# -- common stages; stages after the target are not built -----------------------------------------------------------------
FROM ${BASE} AS tools
RUN test -s /etc/ssl/certs/ca-certificates.crt
COPY LICENSE docs/licences.md docs/third-party/libgit2-COPYING.txt /rootfs/usr/share/doc/setpoint/
RUN mkdir -p /rootfs/etc/ssl/certs /rootfs/usr/bin /rootfs/tmp /rootfs/var/lib /state \
    && cp -L /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ \
    && echo 'setpoint:x:65532:65532::/var/lib/setpoint:/sbin/nologin' > /rootfs/etc/passwd \
    && echo 'setpoint:x:65532:' > /rootfs/etc/group \
    && chmod 1777 /rootfs/tmp
# Copies a binary and, if it is dynamic, its libraries.
RUN printf '%s\n' '#!/bin/sh' 'set -eu' \
    'install -m 755 "$1" /rootfs/usr/bin/setpoint' \
    'ldd "$1" 2> /dev/null | grep -o "/[^ ]*" | while read -r library; do' \
    '    mkdir -p "/rootfs$(dirname "$library")"' \
    '    cp -L "$library" "/rootfs$library"' \
    'done' > /usr/local/bin/collect && chmod +x /usr/local/bin/collect

FROM tools AS prebuilt-root
ARG BINARY=dist/setpoint
COPY ${BINARY} /setpoint
RUN collect /setpoint

FROM scratch AS prebuilt
COPY --from=prebuilt-root /rootfs/ /
COPY --from=prebuilt-root --chown=65532:65532 /state/ /var/lib/setpoint/
USER 65532:65532
# Sets the state folder, which contains the socket: see docs/daemon.md. `status --daemon` fails if no daemon answers on it.
ENV XDG_STATE_HOME=/var/lib
VOLUME /var/lib/setpoint
HEALTHCHECK --interval=60s --timeout=5s --start-period=30s CMD ["/usr/bin/setpoint", "status", "--daemon"]
ENTRYPOINT ["/usr/bin/setpoint"]
CMD ["daemon", "--config", "/etc/setpoint/daemon.kdl"]

# -- compile here --------------------------------------------------------------------------------------------------------
FROM ${BUILDER} AS compile
ARG PROFILE=release
WORKDIR /src
COPY . .
# A static binary: the image needs no libraries. `--target` keeps the flag away from build scripts and macros.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --bin setpoint --profile "$PROFILE" --target "$target" \
    && install -D "target/$target/$(test "$PROFILE" = dev && echo debug || echo "$PROFILE")/setpoint" /out/setpoint

FROM tools AS compiled-root
COPY --from=compile /out/setpoint /setpoint
RUN collect /setpoint

FROM scratch
COPY --from=compiled-root /rootfs/ /
COPY --from=compiled-root --chown=65532:65532 /state/ /var/lib/setpoint/
USER 65532:65532
ENV XDG_STATE_HOME=/var/lib
VOLUME /var/lib/setpoint
HEALTHCHECK --interval=60s --timeout=5s --start-period=30s CMD ["/usr/bin/setpoint", "status", "--daemon"]
ENTRYPOINT ["/usr/bin/setpoint"]
CMD ["daemon", "--config", "/etc/setpoint/daemon.kdl"]
