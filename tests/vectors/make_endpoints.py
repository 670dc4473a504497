#!/usr/bin/env python3
"""Makes endpoints.json with botocore: the host of each service that is used, in every partition, plain and with the
FIPS and dual-stack switches.

    python3 tests/vectors/make_endpoints.py > tests/vectors/endpoints.json

It was made with botocore 1.43.11; tests/e2e/test_endpoints.py compares it with the botocore that is installed.
"""
import json
import sys

import botocore
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

# As rolloutd names them, and the folders of botocore's data.
SERVICES = {"lambda": "lambda", "cloudwatch": "cloudwatch", "apigateway": "apigateway",
            "apigatewayv2": "apigatewayv2", "sts": "sts", "sso": "sso"}
SWITCHES = [(fips, dualstack) for fips in (False, True) for dualstack in (False, True)]


def resolve(provider, region, fips, dualstack):
    """The host, with the region's name taken out; None where this botocore has none."""
    parameters = {"Region": region, "UseFIPS": fips, "UseDualStack": dualstack}
    if "UseGlobalEndpoint" in provider.ruleset.parameters:
        parameters["UseGlobalEndpoint"] = False  # sts_regional_endpoints = regional, the SDKs' default by now
    try:
        url = provider.resolve_endpoint(**parameters).url
    except EndpointProviderError:
        return None
    if not url.startswith("https://"):
        raise AssertionError(url)
    return url.removeprefix("https://").replace(region, "{region}")


def make():
    loader = Loader()
    partitions = loader.load_data("partitions")
    providers = {name: EndpointProvider(loader.load_service_model(folder, "endpoint-rule-set-1"), partitions)
                 for name, folder in SERVICES.items()}
    out = {}
    for partition in partitions["partitions"]:
        # "aws-global" and the like name all regions at once.
        regions = sorted(r for r in partition["regions"] if not r.endswith("-global"))
        hosts = {}
        for name, provider in providers.items():
            found = [{resolve(provider, region, *switches) for region in regions} for switches in SWITCHES]
            if any(len(f) != 1 for f in found):
                raise AssertionError(f"{name}: regions of {partition['id']} differ in more than their names")
            hosts[name] = [f.pop() for f in found]
        out[partition["id"]] = {"regions": regions, "hosts": hosts}
    return {"botocore": botocore.__version__, "switches": ["", "dualstack", "fips", "fips dualstack"],
            "partitions": out}


if __name__ == "__main__":
    json.dump(make(), sys.stdout, indent=1)
    print()
