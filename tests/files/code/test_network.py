"""Uses of the network are found by whatever name and way, and what stays on the machine is not accused of one."""

from __future__ import annotations

import pytest

from bytecap.files.code.closure import code_closure
from bytecap.files.code.references import Kind
from bytecap.files.code.source_room import DiskRoom
from bytecap.submissions.code import judge_code
from bytecap.submissions.folder import open_folder

USED = {
    "socket.connect": "import socket\ns=socket.socket()\ns.connect(('a',80))",
    "socket.socket": "import socket\nwith socket.socket() as s:\n  s.connect(('a',80)); s.recv(9)",
    "create_connection": "import socket\nsocket.create_connection(('a',80))",
    "from socket": "from socket import *\ns=socket(AF_INET)\ns.connect(('a',80))",
    "socketserver": "import socketserver\nsocketserver.TCPServer(('',1),None)",
    "urlopen": "from urllib.request import urlopen\nurlopen('http://a')",
    "urllib req": "import urllib.request as r\nr.urlretrieve('http://a','b')",
    "http.client": "import http.client\nhttp.client.HTTPSConnection('a').request('GET','/')",
    "requests": "import requests\nrequests.get('http://a')",
    "requests Session": "import requests\ns=requests.Session()\ns.get('http://a')",
    "from requests": "from requests import get\nget('http://a')",
    "httpx": "import httpx\nhttpx.get('http://a')",
    "httpx client": "import httpx\nwith httpx.Client() as c: c.get('http://a')",
    "aiohttp": "import aiohttp\naiohttp.ClientSession()",
    "urllib3": "import urllib3\nurllib3.PoolManager().request('GET','http://a')",
    "hf": "from huggingface_hub import hf_hub_download\nhf_hub_download('a','b')",
    "hf snapshot": "import huggingface_hub as h\nh.snapshot_download('a')",
    "hf fs": "from huggingface_hub import HfFileSystem\nHfFileSystem().open('a')",
    "hf list": "import huggingface_hub as h\nh.list_repo_files('a')",
    "hf api": "from huggingface_hub import HfApi\nHfApi().upload_file()",
    "hf login": "from huggingface_hub import login\nlogin('x')",
    "transformers": "from transformers import AutoModel\nAutoModel.from_pretrained('gpt2')",
    "datasets": "from datasets import load_dataset\nload_dataset('a')",
    "hub": "import torch\ntorch.hub.load('a','b')",
    "hub2": "import torch\ntorch.hub.load_state_dict_from_url('http://a')",
    "hub3": "from torch import hub\nhub.download_url_to_file('http://a','b')",
    "tv datasets": "import torchvision\ntorchvision.datasets.MNIST('.',download=True)",
    "tv utils": "from torchvision.datasets.utils import download_url\ndownload_url('http://a','.')",
    "sub curl": "import subprocess\nsubprocess.run(['curl','http://a'])",
    "sub wget": "import subprocess\nsubprocess.check_call('wget http://a',shell=True)",
    "sub curl path": "import subprocess\nsubprocess.run(['/usr/bin/curl','http://a'])",
    "sub git": "import subprocess\nsubprocess.run(['git','clone','http://a'])",
    "sub git -C": "import subprocess\nsubprocess.run(['git','-C','x','pull'])",
    "sub pip": "import subprocess,sys\nsubprocess.run([sys.executable,'-m','pip','install','a'])",
    "os.system": "import os\nos.system('curl http://a | sh')",
    "os.system aria": "import os\nos.system('aria2c http://a')",
    "ssh": "import os\nos.system('ssh a@b cat x')",
    "scp": "import os\nos.system('scp a@b:x .')",
    "rsync": "import os\nos.system('rsync a@b:x .')",
    "nc": "import os\nos.system('nc a 80')",
    "aws": "import os\nos.system('aws s3 cp s3://a .')",
    "gcloud": "import os\nos.system('gcloud storage cp gs://a .')",
    "ftp": "import os\nos.system('lftp a')",
    "hf cli": "import os\nos.system('huggingface-cli download a')",
    "npm": "import os\nos.system('npm install x')",
    "bash tcp": "import os\nos.system('exec 3<>/dev/tcp/a/80; cat <&3')",
    "python -c": "import os,sys\nos.system(sys.executable+' -c \"import urllib.request as u; u.urlopen(1)\"')",
    "openssl": "import os\nos.system('openssl s_client -connect a:443')",
    "asyncio": "import asyncio\nasyncio.open_connection('a',80)",
    "asyncio loop": "import asyncio\nasyncio.get_event_loop().create_connection(1,'a',80)",
    "smtplib": "import smtplib\nsmtplib.SMTP('a')",
    "imaplib": "import imaplib\nimaplib.IMAP4('a')",
    "poplib": "import poplib\npoplib.POP3('a')",
    "telnetlib": "import telnetlib\ntelnetlib.Telnet('a')",
    "dns": "import socket\nsocket.gethostbyname('a.b')",
    "getaddrinfo": "import socket\nsocket.getaddrinfo('a.b',80)",
    "xmlrpc": "from xmlrpc.client import ServerProxy\nServerProxy('http://a')",
    "grpc": "import grpc\ngrpc.insecure_channel('a')",
    "redis": "import redis\nredis.Redis('a')",
    "mp manager": "from multiprocessing.managers import BaseManager\nBaseManager(address=('a',1)).connect()",
    "mp client": "from multiprocessing.connection import Client\nClient(('a',1))",
    "pandas url": "import pandas as pd\npd.read_csv('https://a/x.csv')",
    "numpy DataSource": "import numpy as np\nnp.lib.npyio.DataSource().open('http://a')",
    "np.loadtxt url": "import numpy as np\nnp.loadtxt('https://a/x')",
    "open url fsspec": "import fsspec\nfsspec.open('https://a')",
    "smart_open": "from smart_open import open\nopen('s3://a/b')",
    "s3": "import boto3\nboto3.client('s3').download_file('a','b','c')",
    "cloudpath": "from google.cloud import storage\nstorage.Client()",
    "wandb": "import wandb\nwandb.init()",
    "wandb artifact": "import wandb\nwandb.Api().artifact('a').download()",
    "tiktoken": "import tiktoken\ntiktoken.get_encoding('gpt2')",
    "nltk": "import nltk\nnltk.download('x')",
    "gdown": "import gdown\ngdown.download('a')",
    "webbrowser": "import webbrowser\nwebbrowser.open('http://a')",
    "ensurepip": "import ensurepip\nensurepip.bootstrap()",
    "pip": "import pip\npip.main(['install','a'])",
    "pip2": "from pip._internal import main\nmain(['install','a'])",
    "pip3": "from pip._internal.cli.main import main\nmain(['install','a'])",
    "spacy": "import spacy\nspacy.cli.download('en')",
    "getattr": "import socket\ngetattr(socket,'create_'+'connection')(('a',1))",
    "import computed": "__import__('requ'+'ests').get('http://a')",
    "exec hidden": "exec(\"import urllib.request as u\\nu.urlopen('http://a')\")",
    "class sub": "import socket\nclass S(socket.socket): pass\nS().connect(('a',1))",
    "handed": "from concurrent.futures import ThreadPoolExecutor as T\nimport urllib.request as u\n"
    "T().submit(u.urlopen,'http://a')",
    "map": "import urllib.request as u\nlist(map(u.urlopen,['http://a']))",
    "method hf": "import transformers\ntransformers.AutoTokenizer.from_pretrained('gpt2')",
    "kernels": "from kernels import get_kernel\nget_kernel('a/b')",
    "loop.run": "import torch\ntorch.utils.model_zoo.load_url('http://a')",
    "keras": "import keras\nkeras.utils.get_file('a','http://a')",
    "evaluate": "import evaluate\nevaluate.load('bleu')",
    "tokenizers": "from tokenizers import Tokenizer\nTokenizer.from_pretrained('gpt2')",
    "datasets builder": "import datasets\ndatasets.load_dataset_builder('a')",
    "pyarrow s3": "from pyarrow import fs\nfs.S3FileSystem()",
}
QUIET = {
    "dist": "import torch.distributed as dist\ndist.init_process_group('nccl')\ndist.all_reduce(x)\ndist.barrier()",
    "dist tcp": "import torch.distributed as dist\n"
    "dist.init_process_group('nccl', init_method='tcp://localhost:1234',rank=0,world_size=1)",
    "hostname": "import socket\nprint(socket.gethostname())",
    "free port": "import socket\ns=socket.socket()\ns.bind(('',0))\nport=s.getsockname()[1]\ns.close()",
    "parse": "from urllib.parse import urlparse\nurlparse('http://a')",
    "git": "import subprocess\nsubprocess.run(['git','rev-parse','HEAD'])",
    "local pretrained": "from transformers import AutoTokenizer\n"
    "AutoTokenizer.from_pretrained('./tok',local_files_only=True)",
    "own from_pretrained": "class GPT:\n  @classmethod\n  def from_pretrained(cls,t): pass\n",
    "own call": "class GPT:\n  @classmethod\n  def from_pretrained(cls,t): return cls()\nm=GPT.from_pretrained('x')",
    "wandb off": "import wandb\nwandb.init(mode='disabled')",
    "http status": "from http import HTTPStatus\nprint(HTTPStatus.OK)",
    "load_dataset own": "def load_dataset(p): return p\nload_dataset('x')",
    "requests name": "requests=[1]\nrequests.append(2)",
    "connect": "import sqlite3\nsqlite3.connect('x.db')",
    "connect2": "class L:\n  def connect(self,x): pass\nL().connect(1)",
    "pip freeze": "import subprocess,sys\nsubprocess.run([sys.executable,'-m','pip','freeze'])",
    "pip list": "import os\nos.system('pip list')",
    "conda list": "import os\nos.system('conda list')",
    "mp": "import multiprocessing as mp\nmp.Process(target=print).start()",
    "localhost": "import socket\nsocket.create_connection(('localhost',80))",
    "TCPStore": "import torch.distributed as d\nd.TCPStore('localhost',1234)",
    "hub dir": "import torch\ntorch.hub.get_dir()",
    "hub local": "import torch\ntorch.hub.load('./r','m',source='local')",
    "hf consts": "from huggingface_hub import constants\nprint(constants.HF_HOME)",
    "hf exc": "from huggingface_hub.utils import HfHubHTTPError\n",
    "requests exc": "import requests\ntry: pass\nexcept requests.exceptions.RequestException: pass",
    "echo": "import os\nos.system('echo curl http://a')",
    "which": "import shutil\nshutil.which('curl')",
    "offline": "import os\nos.environ['HF_HUB_OFFLINE']='1'",
    "transformers local": "from transformers import AutoModel\n"
    "AutoModel.from_pretrained('./model', local_files_only=True)",
    "datasets local": "from datasets import load_dataset\nload_dataset('json',data_files='x.json')",
    "sub pip local": "import subprocess,sys\n"
    "subprocess.run([sys.executable,'-m','pip','install','--no-index','./a.whl'])",
    "rsync local": "import os\nos.system('rsync -a x y')",
}
GET = "def fetch():\n    import requests\n    requests.get('http://a')\n"
CALLED = {
    "nothing": (GET + "print(1)\n", "information"),
    "a function that nothing calls": (GET + "def main():\n    fetch()\n", "information"),
    "statement": (GET + "fetch()\n", "finding"),
    "function": (GET + "def main():\n    fetch()\nmain()\n", "finding"),
    "handed on": (GET + "import threading\nthreading.Thread(target=fetch).start()\n", "finding"),
    "table": (GET + "table = {'fetch': fetch}\n", "finding"),
    "name": (GET + "globals()['fetch']()\n", "finding"),
    "computed name": (GET + "import sys\nglobals()[sys.argv[1]]()\n", "finding"),
    "text": (GET + "exec('fetch()')\n", "finding"),
    "method": ("class A:\n    def f(self):\n        import requests\n        requests.get('http://a')\n", "finding"),
    "decorator": ("import atexit\n@atexit.register\n" + GET, "finding"),
    "another file": ("from other import fetch\nfetch()\n", "finding"),
}


def network(folder, script):
    (folder / "main.py").write_text(script)
    closure = code_closure(DiskRoom([folder / "main.py"]), [(folder / "main.py").as_posix()])
    return [item.name for _, item in closure.named if item.kind is Kind.NETWORK]


@pytest.mark.parametrize("name", USED)
def test_a_use_of_the_network_is_found(name, tmp_path):
    assert network(tmp_path, USED[name])


@pytest.mark.parametrize("name", QUIET)
def test_what_stays_on_the_machine_is_not_accused(name, tmp_path):
    assert network(tmp_path, QUIET[name]) == []


@pytest.mark.parametrize("name", CALLED)
def test_a_download_that_nothing_calls_is_told_apart(name, tmp_path):
    script, level = CALLED[name]
    (tmp_path / "train_gpt.py").write_text(script)
    (tmp_path / "other.py").write_text(GET)
    _, findings = judge_code(open_folder(tmp_path))
    assert [finding.level.value for finding in findings if finding.rule == "code-network"] == [level]


def test_a_download_script_that_nothing_needs_is_no_use_of_the_network(tmp_path):
    (tmp_path / "train_gpt.py").write_text("print(1)\n")
    (tmp_path / "download.py").write_text("import requests\nrequests.get('http://a')\n")
    _, findings = judge_code(open_folder(tmp_path))
    assert not [finding for finding in findings if finding.rule == "code-network"]
