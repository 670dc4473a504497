"""Resolves keys with botocore, for test_credentials.py: a request {environment, profile, endpoint} a line on standard
input, an answer a line on standard output: {id, secret, token} or {error}. First its own version."""

import json
import os
import sys

import botocore
import botocore.session


class Session(botocore.session.Session):
    """Whose clients all go to the test's endpoint: older versions know no AWS_ENDPOINT_URL_STS."""

    endpoint = None

    def create_client(self, service_name, *args, **kwargs):
        kwargs["endpoint_url"] = self.endpoint
        return super().create_client(service_name, *args, **kwargs)


def resolve(request):
    os.environ.clear()
    os.environ.update(request["environment"])
    # Made when the module was loaded, from the home of that time.
    home = os.path.join(request["environment"]["HOME"], ".aws/sso/cache")
    botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR = home
    if hasattr(botocore, "tokens"):
        botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR = home
    session = Session(profile=request["profile"])
    session.endpoint = request["endpoint"]
    found = session.get_credentials()
    if found is None:
        return {"error": "none"}
    keys = found.get_frozen_credentials()
    return {"id": keys.access_key, "secret": keys.secret_key, **({"token": keys.token} if keys.token else {})}


def main():
    print(json.dumps(botocore.__version__), flush=True)
    for line in sys.stdin:
        try:
            answer = resolve(json.loads(line))
        except Exception as error:  # whatever it is, there are no keys
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
