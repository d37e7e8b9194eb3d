# Not built or run where this project was made: there is no container runtime there. Written after `make setup`, which is
# tested; tell us what is wrong with it.
#
#   docker build -t apprentice .
#   docker run --rm -v "$PWD/var:/apprentice/var" apprentice run --profile smoke
#   docker run --rm -p 4200:4200 -p 5000:5000 -v "$PWD/var:/apprentice/var" --network host apprentice server
#
# For a GPU take a CUDA base image with Python 3.11 and leave TORCH_INDEX_URL empty.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc git libc6-dev make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home apprentice

WORKDIR /apprentice
COPY --chown=apprentice . .
RUN chown apprentice /apprentice
USER apprentice

# Pins as committed; compiled ahead, or every start would compile anew.
ARG TORCH_INDEX_URL=
RUN make setup PYTHON=python3.11 && .venv/bin/python -m compileall -q .venv/lib flows tasks models data

ENV PATH=/apprentice/.venv/bin:$PATH
VOLUME /apprentice/var
ENTRYPOINT ["apprentice"]
CMD ["--help"]
