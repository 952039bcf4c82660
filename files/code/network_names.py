"""Which calls and commands download or send something, by full names, and which of the same names do not.

Strategy: functions that open a connection or fetch what an argument names, whole packages that do nothing else, and
readers that are given an address where a path could stand. What stays on the machine is no use of the network: this
host's own address, a host's own name, a folder, caches, an offline mode. `torch.distributed` is not looked at: the
processes of one run talk by it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from .call_names import OPENERS, READERS

FUNCTIONS = set(
    "urllib.request.urlopen urllib.request.urlretrieve urllib.request.Request socket.create_connection wget.download "
    "socket.socket().connect socket.socket().connect_ex socket.socket().sendto socket.create_server "
    "asyncio.get_event_loop().create_connection asyncio.new_event_loop().create_connection "
    "asyncio.get_running_loop().create_connection ssl.get_server_certificate "
    "datasets.load_dataset datasets.load_dataset_builder datasets.get_dataset_config_names "
    "torch.hub.load torch.hub.load_state_dict_from_url torch.hub.download_url_to_file torch.hub.list torch.hub.help "
    "torch.utils.model_zoo.load_url nltk.download stanza.download spacy.cli.download evaluate.load "
    "http.client.HTTPSConnection http.client.HTTPConnection wandb.init wandb.Api wandb.login boto3.client "
    "boto3.resource boto3.Session tiktoken.get_encoding tiktoken.encoding_for_model modal.App "
    "pip.main pip._internal.main pip._internal.cli.main.main ensurepip.bootstrap "
    "urllib.request.build_opener urllib.request.URLopener urllib.request.FancyURLopener asyncio.open_connection "
    "multiprocessing.connection.Client multiprocessing.managers.BaseManager().connect "
    "sentence_transformers.SentenceTransformer fsspec.open transformers.pipeline tensorflow_datasets.load "
    "keras.utils.get_file tensorflow.keras.utils.get_file pooch.retrieve cached_path.cached_path "
    "pyarrow.fs.S3FileSystem pyarrow.fs.GcsFileSystem google.cloud.storage.Client kernels.get_kernel "
    "numpy.DataSource numpy.lib.npyio.DataSource webbrowser.open grpc.insecure_channel grpc.secure_channel "
    "redis.Redis redis.StrictRedis pymongo.MongoClient psycopg2.connect kaggle.api".split()
)
PACKAGES = tuple(
    "requests. httpx. aiohttp. urllib3. pycurl. smtplib. imaplib. poplib. telnetlib. ftplib. paramiko. xmlrpc.client. "
    "websockets. websocket. huggingface_hub. gdown. kagglehub. modelscope. s3fs. gcsfs. openai. anthropic. cohere. "
    "socketserver. http.server.".split()
)
STAYING = re.compile(  # names inside these packages that fetch nothing
    r"\.(exceptions|constants|utils|codes|status_codes|typing|logging|compat|structures|errors)\."
    r"|(Error|Exception|Warning|Timeout|Limits|ClientTimeout|Retry)$"
    r"|\.(try_to_load_from_cache|scan_cache_dir|disable_warnings|cached_assets_path|get_token|split_torch_\w+)$"
)
MODEL_ZOOS = ("torchvision.models.", "timm.", "open_clip.")  # whose constructors download weights when they are told to
DATA_ZOOS = ("torchvision.datasets.", "torchaudio.datasets.", "torchtext.datasets.")
ADDRESS_READERS = (
    "pandas.",
    "polars.",
    "numpy.",
    "pyarrow.",
    "fsspec.",
    "smart_open.",
    "imageio.",
    "skimage.",
    "dask.",
)
INSTANCES = {  # classes and functions whose objects are named by a call of them
    "cffi.FFI",
    "ctypes.LibraryLoader",
    "socket.socket",
    "asyncio.get_event_loop",
    "asyncio.new_event_loop",
    "asyncio.get_running_loop",
    "multiprocessing.managers.BaseManager",
}
BASES = {"socket.socket", "http.server.BaseHTTPRequestHandler", "socketserver.BaseRequestHandler"}
NAME_LOOKUPS = {"socket.gethostbyname", "socket.gethostbyname_ex", "socket.getaddrinfo", "dns.resolver.resolve"}
ADDRESS = re.compile(r"(https?|ftps?|s3a?|gs|gcs|hf|abfss?|wasbs?|az|sftp)://")
HERE = re.compile(r"(\w+://)?(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[?::1?\]?)?([:/]|$)")
FOLDER = re.compile(r"\.{0,2}/")
LOCAL_FILE_SYSTEMS = {"file", "local", "memory", "zip", "tar", "dir", "cached"}
FILE_BUILDERS = {"json", "csv", "text", "parquet", "arrow", "pandas", "imagefolder", "audiofolder", "webdataset"}

PROGRAMS = set(
    "curl wget aria2c axel ssh scp sftp nc ncat netcat telnet ftp lftp aws gcloud az s3cmd rclone gsutil yt-dlp "
    "youtube-dl huggingface-cli hf kaggle nslookup dig ping tftp xh httpie http lynx w3m".split()
)
INSTALLERS = set(
    "pip pip3 uv uvx pipx conda mamba micromamba poetry apt apt-get dnf yum apk pacman brew snap npm".split()
)
INSTALLERS |= {"npx", "yarn", "cargo", "go", "gem", "docker", "podman", "ensurepip"}
INSTALLING = set("install download update upgrade add sync create wheel fetch pull push get run -S -Sy".split())
GIT_DOWNLOADS = {"clone", "fetch", "pull", "push", "submodule", "lfs", "ls-remote"}
SHELL_ADDRESSES = ("/dev/tcp/", "/dev/udp/")


def network_use(name: str, call: ast.Call, first: Any) -> str:
    """What to say of a call of the function `name` whose first argument is worth `first`; "" where it uses none."""
    options = {item.arg: item.value for item in call.keywords if item.arg}
    if name in NAME_LOOKUPS:
        return name if isinstance(first, str) and not HERE.match(first) else ""
    if name.startswith(DATA_ZOOS):
        return name if ".download_" in name or _is_set(options.get("download")) else ""
    if name.startswith(MODEL_ZOOS):
        given = any(_is_set(options.get(keyword)) for keyword in ("pretrained", "weights"))
        return f"{name}, pretrained" if given else ""
    if name == "fsspec.filesystem":
        return f"{name} of {first}" if isinstance(first, str) and first not in LOCAL_FILE_SYSTEMS else ""
    if name.endswith(".from_pretrained"):
        return "" if stays_here(call, first) else name
    if isinstance(first, str) and ADDRESS.match(first) and _reads(name):
        return "" if HERE.match(first) else f"{name} of {first[:80]}"
    named = name in FUNCTIONS or (name.startswith(PACKAGES) and not STAYING.search(name))
    return name if named and not stays_here(call, first) and not _is_local_use(name, options, first) else ""


def stays_here(call: ast.Call, first: Any) -> bool:
    """Whether what a call names lies on this machine: its own address, or a folder that is told to be one."""
    options = {item.arg: item.value for item in call.keywords if item.arg}
    if _is_set(options.get("local_files_only")):
        return True
    first = first[0] if isinstance(first, tuple) and len(first) == 2 else first
    return isinstance(first, str) and bool(first) and bool(HERE.match(first) or FOLDER.match(first))


def _is_local_use(name: str, options: dict[str, ast.expr], first: Any) -> bool:
    """Modes of a function that stay on the machine."""
    mode = getattr(options.get("mode"), "value", None)
    source = getattr(options.get("source"), "value", None)
    if name == "datasets.load_dataset" and first in FILE_BUILDERS:
        files = options.get("data_files") or options.get("data_dir")
        return files is not None and not any(
            isinstance(item, ast.Constant) and isinstance(item.value, str) and ADDRESS.match(item.value)
            for item in ast.walk(files)
        )
    return (name == "wandb.init" and mode in ("disabled", "offline")) or (
        name == "torch.hub.load" and source == "local"
    )


def is_address(value: Any) -> bool:
    """Whether a value is a pair of a host elsewhere and a port, as sockets take it."""
    if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[1], int):
        return False
    return isinstance(value[0], str) and not HERE.match(value[0])


def command_download(program: str, arguments: Sequence[str | None]) -> bool:
    """Whether a command of a shell downloads or sends something."""
    words = {word for word in arguments if word}
    if program == "git":
        return bool(GIT_DOWNLOADS & words)
    if program in INSTALLERS:
        return bool(INSTALLING & words) and "--no-index" not in words and "--offline" not in words
    if program == "rsync":
        return any(":" in word for word in words if not word.startswith("-"))
    if program == "openssl":
        return "s_client" in words
    return program in PROGRAMS and not words & {"--version", "--help", "-V", "version"}


def _reads(name: str) -> bool:
    return name in OPENERS | READERS or name.startswith(ADDRESS_READERS)


def _is_set(node: ast.expr | None) -> bool:
    """Whether a keyword is there with anything but False or None."""
    return node is not None and not (isinstance(node, ast.Constant) and node.value in (False, None))
