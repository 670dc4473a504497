"""Certificates of an authority that only the tests know, good ones and others, for a name that is nobody's."""

import functools
import os
import shutil
import ssl
import subprocess
import tempfile

HOST = "aws.example"  # reserved

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
OPENSSL_CONFIG = """
[ca]
default_ca = this
[this]
dir = {0}
database = {0}/index
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
commonName = rolloutd
"""


class Authority:
    """Makes certificates with the openssl program."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="authority-")
        self.config = self.path("openssl.cnf")
        with open(self.config, "w", encoding="ascii") as f:
            f.write(OPENSSL_CONFIG.format(self.folder))
        with open(self.path("index"), "w", encoding="ascii"), open(self.path("serial"), "w", encoding="ascii") as f:
            f.write("01\n")
        for name in ("ca", "foreign-ca"):
            self.run("req", "-x509", *NEW_KEY, "-days", "2", "-config", self.config, "-subj",
                     f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.path(f"{name}.key"),
                     "-out", self.path(f"{name}.pem"))
        self.certificate("good")
        self.certificate("wrong-name", host="other.example")
        self.certificate("foreign", ca="foreign-ca")
        self.certificate("expired", dates=("20200101000000Z", "20200201000000Z"))
        self.run("req", "-x509", *NEW_KEY, "-days", "2", "-config", self.config, "-subj",
                 f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", self.path("self-signed.key"),
                 "-out", self.path("self-signed.pem"))

    def close(self):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments):
        p = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        if p.returncode:
            raise AssertionError(f"openssl {arguments[0]}: {p.stderr}")

    def certificate(self, name, host=HOST, ca="ca", dates=None):
        request = self.path(f"{name}.csr")
        self.run("req", "-new", *NEW_KEY, "-config", self.config, "-subj", f"/CN={host}",
                 "-addext", f"subjectAltName=DNS:{host}", "-keyout", self.path(f"{name}.key"), "-out", request)
        when = ["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "2"]
        self.run("ca", "-batch", "-notext", "-config", self.config, "-cert", self.path(f"{ca}.pem"), "-keyfile",
                 self.path(f"{ca}.key"), "-in", request, "-out", self.path(f"{name}.pem"), *when)

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context


@functools.lru_cache(1)
def the_authority():
    return Authority()
