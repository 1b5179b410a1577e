"""What people do with google-cloud-storage, against the server that STORAGE_EMULATOR_HOST names."""

import io

from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

client = storage.Client(project="any", credentials=AnonymousCredentials())
bucket = client.create_bucket("python-box")

blob = bucket.blob("in/a b.csv")
blob.metadata = {"run": "r1"}
blob.upload_from_string("1,2\n", content_type="text/csv", if_generation_match=0)
assert blob.download_as_bytes() == b"1,2\n"
assert blob.size == 4 and blob.generation > 0 and blob.metageneration == 1, blob._properties
try:
    bucket.blob("in/a b.csv").upload_from_string("x", if_generation_match=0)
    raise AssertionError("no precondition failed")
except exceptions.PreconditionFailed:
    pass

big = bytes(range(256)) * 40_000
large = bucket.blob("large", chunk_size=256 * 1024)
large.upload_from_file(io.BytesIO(big), size=None)
assert large.download_as_bytes() == big
assert large.download_as_bytes(start=5, end=9) == big[5:10]
large.reload()
assert large.size == len(big) and large.crc32c

with bucket.blob("written").open("w") as f:
    f.write("hello")
with bucket.blob("written").open("r") as f:
    assert f.read() == "hello"

assert [b.name for b in client.list_blobs(bucket)] == ["in/a b.csv", "large", "written"]
assert [b.name for b in client.list_blobs(bucket, match_glob="**.csv")] == ["in/a b.csv"]
pages = client.list_blobs(bucket, delimiter="/")
assert [b.name for b in pages] == ["large", "written"] and pages.prefixes == {"in/"}, pages.prefixes

blob.content_type = "text/plain"
blob.metadata = {"run": None, "new": "1"}
blob.patch()
blob.reload()
assert blob.content_type == "text/plain" and blob.metadata == {"new": "1"} and blob.metageneration == 2, blob._properties

copy = bucket.copy_blob(blob, bucket, "copy")
assert copy.download_as_bytes() == b"1,2\n"
token, done, total = bucket.blob("rewritten").rewrite(large)
assert token is None and done == total == len(big)
joined = bucket.blob("joined")
joined.compose([blob, copy])
assert joined.download_as_bytes() == b"1,2\n1,2\n" and joined.component_count == 2
assert bucket.rename_blob(copy, "renamed").name == "renamed" and not bucket.blob("copy").exists()

with client.batch():
    for name in ["renamed", "joined", "rewritten"]:
        bucket.blob(name).delete()
assert not bucket.blob("joined").exists()
for b in client.list_blobs(bucket):
    b.delete()
bucket.delete()
assert client.lookup_bucket("python-box") is None
