# ftpfs in a container. It mounts inside the container, so it needs the device and the right to
# mount; no more than that:
#
#   docker build -t ftpfs .
#   docker run --rm -it --device /dev/fuse --cap-add SYS_ADMIN ftpfs demo
#
# Where AppArmor is on, add --security-opt apparmor=unconfined: its profile for containers
# forbids mount. To see a mount from outside, give it a shared directory:
#   --mount type=bind,source=/srv/ftp,target=/mnt,bind-propagation=rshared
FROM debian:bookworm-slim

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        fuse3 python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ftpfs ftpfs
RUN python3 -m venv /opt/ftpfs \
    && /opt/ftpfs/bin/pip install --no-cache-dir '.[demo]' \
    && ln -s /opt/ftpfs/bin/ftpfs /usr/local/bin/ftpfs

WORKDIR /
ENTRYPOINT ["ftpfs"]
