"""Check manifests for Kubernetes against the schemas of its latest version that the package has."""

import pathlib
import sys

import kubernetes_validate
import yaml

for name in sys.argv[1:]:
    for manifest in yaml.safe_load_all(pathlib.Path(name).read_text(encoding="utf-8")):
        version = kubernetes_validate.latest_version()
        kubernetes_validate.validate(manifest, version, strict=True)
        print(f"{name}: {manifest['kind']} fits the schemas of {version}")
