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
absl accelerate adabelief_pytorch ahocorasick aim aiofiles aiohttp aiosqlite albumentations altair anthropic anyio
apache_beam apex apex_C apex_contrib_C apollo_torch appdirs argon2 arrow asteval astropy attr attrs audioread auto_gptq
autogptq autograd av awq backoff base58 bcrypt beartype bidict bitarray bitblas bitsandbytes bitstring bitstruct blake3
blobfile blosc blosc2 bokeh boltons boto3 botocore botorch bottleneck brotli brotlicffi bs4 cachebox cachetools catboost
cattrs causal_conv1d causal_conv1d_cuda cbor2 certifi cffi charset_normalizer chex clearml click cloudpickle cma
colorama coloredlogs colorlog comet_ml compressai compressed_tensors configargparse constriction construct coremltools
cramjam crc32c crcmod Crypto cryptography ctranslate2 cuda cudf cupy cupy_backends cupyx curl_cffi cutlass
cutlass_library cv2 cvxpy Cython cython cytoolz dash dask dask_expr datasets datasketch dateparser dateutil decord
deep_ep deep_gemm deepspeech deepspeed deltalake diffusers dill diskcache distributed docker docopt docx dotenv duckdb
dvclive einops einops_exts einx emoji entmax etils evaluate exllamav2 fairscale fairseq fairseq2 faiss
fast_hadamard_transform fastapi fastavro faster_whisper fastparquet fasttext feedparser ffcv ffmpeg filelock fiona fire
fitz fla flash_attn flash_attn_2_cuda flash_attn_3 flash_attn_3_cuda flash_attn_interface flashinfer flask flax
frozendict fsspec ftfy funcy fvcore galore_torch gdown gensim geopandas gguf git gmpy2 google googleapiclient gptqmodel
gpytorch gradio graphviz grpc gymnasium h5netcdf h5py hadamard_transform hdbscan heavyball helion hf_transfer hqq
httpcore httpx huggingface_hub humanfriendly humanize hydra hyper_connections hyperopt hypothesis ijson imageio
immutabledict inflate64 inflect intel_extension_for_pytorch intervaltree iopath ipykernel IPython ipywidgets isal jax
jaxlib jaxtyping jellyfish jinja2 joblib jsonlines jsonpickle jsonschema jupyter jwt kaggle kagglehub keras kernels
kiwisolver kornia kubernetes langdetect Levenshtein librosa liger_kernel lightgbm lightning lightning_fabric
lightning_utilities linear_operator lion_pytorch litellm litgpt llama_cpp llvmlite lm_eval lmdb local_attention locket
loguru lpips lxml lz4 lzo mamba_ssm mamba_ssm_cuda marisa_trie markdown markdownify marshmallow matplotlib
matplotlib_inline megablocks megatron megatron_core ml_dtypes mlflow mlx mlx_lm mmh3 modal more_itertools mosaicml
moviepy mpi4py mpmath msgpack msgspec multidict multipledispatch multiprocess muon mup mypy nacl nanobind narwhals
natsort nbformat neptune netCDF4 networkx ninja nltk notebook numba numba_cuda numcodecs numexpr numpy nvidia nvidia_smi
nvmath nvtx omegaconf onnx onnx_ir onnxruntime onnxscript openai openpyxl openvino opt_einsum optax optimum optree
optuna orbax orjson ormsgpack ortools outlines packaging pandas paramiko partd patsy peft pendulum performer_pytorch
pexpect PIL pint pip pkg_resources platformdirs plotly polars pooch portalocker pptx prettytable prodigyopt
prompt_toolkit psutil psycopg2 pulp py7zr pyarrow pybase64 pybcj pybind11 pycocotools pycuda pydantic pydivsufsort
pyfastpfor pyfse pylibraft pymongo pympler pynndescent pynvml pypandoc pypdf pyperclip pyppmd pyroaring pyrsistent
pyspark pytest python_minifier pytorch_lightning pytorch_optimizer pytz pyzipper pyzstd quack quanto questionary
rapidfuzz rasterio ray redis regex requests retrying rich rich_argparse ringattention rotary_embedding_torch runpod
rustworkx rwkv sacrebleu sacremoses safetensors schedulefree scipy seaborn selectolax sentence_transformers
sentencepiece sentry_sdk setuptools sglang shampoo shap shapely shortuuid simpleeval simplejson six skimage sklearn
skopt slugify smart_open snappy sortedcontainers sounddevice soundfile sox soxr spacy sparse sqlalchemy starlette
statsmodels streaming streamlit structlog subword_nmt swanlab sympy tabulate taichi tblib tenacity tensorboard
tensorboardX tensordict tensorflow tensorrt tensorstore termcolor texttable textual thop threadpoolctl tifffile tiktoken
tilelang timm tinygrad titans_pytorch tokenizers tokenmonster toml tomli tomli_w tomlkit toolz torch torch_geometric
torch_optimizer torch_scatter torch_sparse torch_xla torchac torchao torchaudio torchdata torcheval torchinfo
torchmetrics torchopt torchprofile torchrl torchsummary torchtext torchtitan torchtune torchvision tornado tqdm trackio
trafilatura transformer_engine transformer_engine_torch transformers tree trimesh triton triton_kernels tritonclient trl
truststore tvm typeguard typer typing_extensions tyro ujson ultralytics umap unidecode unsloth urllib3 uuid6 uvicorn
uvloop vector_quantize_pytorch vllm wandb warcio warp watchdog wcwidth websocket websockets wget wheel wrapt
x_transformers xarray xformers xgboost xgrammar xlrd xlstm xxhash yacs yaml yarl yt_dlp zarr zfpy zmq zopfli zstandard
zstd
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
