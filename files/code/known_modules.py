"""Which module names belong to Python itself or to a package that others distribute.

Strategy: the interpreter's own list, what newer versions added, and the import names of packages that
people train and compress language models with. A name that is in none of them is asked for by the
closure; a requirements file of the folder adds its own.
"""

from __future__ import annotations

import re
import sys

NEWER_STANDARD_MODULES = {"compression", "annotationlib", "_pyrepl", "_zstd", "_interpreters", "tomllib", "pathlib"}
OWN_PACKAGE = "bytecap"
# distribution: import name, where they differ
IMPORT_NAMES = {
    "beautifulsoup4": "bs4",
    "flash_attn_3": "flash_attn_interface",
    "flash_linear_attention": "fla",
    "gitpython": "git",
    "mamba_ssm": "mamba_ssm",
    "msgpack_python": "msgpack",
    "nvidia_ml_py": "pynvml",
    "opencv_python": "cv2",
    "pillow": "PIL",
    "protobuf": "google",
    "python_dateutil": "dateutil",
    "pyyaml": "yaml",
    "scikit_learn": "sklearn",
    "scikit_image": "skimage",
    "torchao": "torchao",
}
DISTRIBUTED = frozenset(
    """
absl accelerate aiohttp anthropic apache_beam apex apex_C apex_contrib_C appdirs argon2 arrow attr attrs auto_gptq
autogptq av awq bitblas bitsandbytes blake3 blosc blosc2 boto3 botocore brotli brotlicffi bs4 cachetools causal_conv1d
causal_conv1d_cuda cbor2 certifi cffi charset_normalizer click cloudpickle colorama coloredlogs compressai
constriction construct crcmod cuda cudf cupy cupy_backends cupyx cutlass cutlass_library cv2 cvxpy cython Cython dask
datasets dateutil deep_ep deep_gemm deepspeech deepspeed diffusers dill distributed docopt dotenv duckdb einops einx
entmax evaluate exllamav2 fairscale fairseq fairseq2 faiss fast_hadamard_transform fastapi fasttext ffcv filelock fire
fla flash_attn flash_attn_2_cuda flash_attn_3 flash_attn_3_cuda flash_attn_interface flashinfer flask flax fsspec ftfy
gdown gguf git gmpy2 google googleapiclient gptqmodel gradio graphviz grpc h5py hadamard_transform helion hf_transfer
hqq httpx huggingface_hub humanize hydra hypothesis imageio intel_extension_for_pytorch IPython isal jax jaxlib jinja2
joblib jsonlines jsonschema kaggle kagglehub keras kernels kiwisolver kornia liger_kernel lightning lightning_fabric
litellm litgpt llama_cpp llvmlite lm_eval loguru lpips lxml lz4 lzo mamba_ssm mamba_ssm_cuda markdown matplotlib
megablocks megatron megatron_core mlflow mlx mlx_lm mmh3 modal more_itertools mosaicml mpi4py mpmath msgpack msgspec
multiprocess muon mup mypy natsort neptune ninja nltk notebook numba numcodecs numexpr numpy nvidia nvidia_smi nvtx
omegaconf onnx onnxruntime openai opt_einsum optax optimum optree optuna orjson packaging pandas paramiko patsy peft
pexpect PIL pip pkg_resources platformdirs plotly polars pooch portalocker prettytable prodigyopt psutil py7zr pyarrow
pybind11 pycuda pydantic pydivsufsort pyfastpfor pyfse pylibraft pympler pynvml pypandoc pytest python_minifier
pytorch_lightning pytorch_optimizer pytz pyzstd quack quanto rapidfuzz ray redis regex requests rich ringattention
rotary_embedding_torch runpod rwkv sacrebleu sacremoses safetensors schedulefree scipy seaborn sentence_transformers
sentencepiece sentry_sdk setuptools shampoo simplejson six skimage sklearn slugify smart_open snappy sortedcontainers
soundfile sox spacy sqlalchemy starlette statsmodels streaming streamlit subword_nmt sympy tabulate tblib tensorboard
tensorboardX tensorflow tensorrt termcolor textual thop tiktoken tilelang timm tokenizers tokenmonster toml tomli
tomli_w tomlkit torch torch_geometric torch_optimizer torch_scatter torch_sparse torch_xla torchao torchaudio
torchdata torcheval torchinfo torchmetrics torchopt torchprofile torchsummary torchtext torchtitan torchtune
torchvision tornado tqdm transformer_engine transformer_engine_torch transformers triton triton_kernels trl truststore
tvm typeguard typer typing_extensions tyro ujson unidecode unsloth urllib3 uvicorn vector_quantize_pytorch vllm wandb
warcio wcwidth websocket websockets wget wheel xformers xgboost xlstm xxhash yacs yaml yt_dlp zarr zfpy zmq zopfli
zstandard zstd
""".split()
)
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def is_standard(name: str) -> bool:
    """Whether a top-level module is part of a Python from 3.11 on."""
    return name in sys.stdlib_module_names or name in NEWER_STANDARD_MODULES


def is_distributed(name: str) -> bool:
    """Whether a top-level module is one that a known package brings."""
    return name in DISTRIBUTED


def required_modules(requirements: str) -> set[str]:
    """Import names that the lines of a requirements file may bring, in the spelling of modules."""
    names = set()
    for line in requirements.splitlines():
        match = REQUIREMENT.match(line.partition("#")[0])
        if match:
            name = re.sub(r"[-.]+", "_", match.group(1))
            names |= {name, name.lower(), IMPORT_NAMES.get(name.lower(), name)}
    return names
