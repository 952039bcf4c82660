"""Names of functions by what a call of them does to the list of what a script needs.

Strategy: full names, whatever they were imported as; call_meaning.py looks them up. A number is the place of the
argument that names a file. A name that is not here does nothing that the list is about.
"""

from __future__ import annotations

EXECUTORS = {"exec", "eval", "builtins.exec", "builtins.eval", "runpy.run_string", "cProfile.run", "profile.run"}
EXECUTORS |= {f"ctypes.pythonapi.PyRun_{name}" for name in ("SimpleString", "SimpleStringFlags", "String")}
EXECUTORS |= {"timeit.timeit", "timeit.repeat", "timeit.Timer", "pdb.run"}
INTERPRETER_RUNS = {"runsource", "runcode"}  # methods of code.InteractiveInterpreter
IMPORTERS = {"__import__", "importlib.import_module", "builtins.__import__", "importlib.__import__", "import_module"}
IMPORTERS |= {
    "pkgutil.resolve_name",
    "pydoc.locate",
    "pydoc.safeimport",
    "__loader__.load_module",
    "__loader__.find_spec",
}
IMPORTERS |= {"__spec__.loader.load_module", "importlib.util.find_spec", "pkgutil.find_loader", "pkgutil.get_loader"}
IMPORTERS |= {"importlib.find_loader", "runpy._run_module_as_main"}
ONLY_FIND = {"importlib.util.find_spec", "pkgutil.find_loader", "pkgutil.get_loader", "importlib.find_loader"}
FILE_IMPORTERS = {
    "importlib.util.spec_from_file_location": 1,
    "importlib.machinery.SourceFileLoader": 1,
    "importlib.machinery.SourcelessFileLoader": 1,
    "importlib.machinery.ExtensionFileLoader": 1,
    "imp.load_source": 1,
    "zipimport.zipimporter": 0,
    "torch.package.PackageImporter": 0,
    "runpy.run_path": 0,
    "execfile": 0,
}
OPENERS = {"open", "io.open", "gzip.open", "lzma.open", "bz2.open", "codecs.open", "zstandard.open", "tarfile.open"}
MOVES = set("os.rename os.renames os.replace os.link os.symlink shutil.move".split())
READERS = MOVES | set(
    "numpy.load numpy.fromfile numpy.memmap numpy.loadtxt numpy.genfromtxt torch.load torch.from_file zipfile.ZipFile "
    "safetensors.torch.load_file safetensors.numpy.load_file safetensors.safe_open tokenizers.Tokenizer.from_file "
    "sentencepiece.SentencePieceProcessor joblib.load pandas.read_csv pandas.read_parquet pandas.read_pickle "
    "pyarrow.parquet.read_table os.path.getsize mmap.mmap shutil.copy shutil.copyfile shutil.copy2 "
    "shutil.copytree shutil.make_archive "
    "shutil.unpack_archive tiktoken.load.load_tiktoken_bpe PIL.Image.open cv2.imread imageio.imread imageio.v3.imread "
    "matplotlib.pyplot.imread torchvision.io.read_image torchvision.io.read_file soundfile.read torchaudio.load "
    "io.FileIO io.open_code tokenize.open zipfile.Path pandas.read_json pandas.read_table pandas.read_feather "
    "pandas.read_hdf polars.read_csv polars.read_parquet numpy.lib.format.open_memmap scipy.io.loadmat "
    "wave.open h5py.File sqlite3.connect linecache.getlines fileinput.input os.open torch.jit.load".split()
)
READ_PLACES = {  # of what names the file, where it is not the first
    "sentencepiece.SentencePieceProcessor": (0, "model_file"),
    "shutil.make_archive": (2, "root_dir"),
}
WRITERS = {"torch.save": 1, "numpy.save": 0, "numpy.savez": 0, "numpy.savez_compressed": 0, "shutil.copy": 1}
WRITERS |= {"shutil.copyfile": 1, "shutil.copy2": 1, "safetensors.torch.save_file": 1, "joblib.dump": 1}
WRITERS |= {"os.replace": 1, "os.rename": 1, "os.renames": 1, "shutil.move": 1, "os.link": 1, "os.symlink": 1}
STARTERS = {
    f"subprocess.{name}" for name in "run call check_call check_output Popen getoutput getstatusoutput".split()
} | {"os.system", "os.popen", "asyncio.create_subprocess_shell", "pty.spawn"}
STARTERS |= {f"the C library.{name}" for name in ("system", "popen")}
STARTERS_OF_WORDS = {"asyncio.create_subprocess_exec": 0}
STARTERS_OF_WORDS |= {f"os.{name}": 1 for name in "execl execlp execle execv execvp execvpe execve".split()}
STARTERS_OF_WORDS |= {f"the C library.{name}": 1 for name in "execl execlp execle execv execvp execve".split()}
STARTERS_OF_WORDS |= {"os.posix_spawn": 1, "os.posix_spawnp": 1}
STARTERS_OF_WORDS |= {f"os.spawn{name}": 2 for name in "l le lp lpe v ve vp vpe".split()}
NATIVE_BUILDERS = {"torch.utils.cpp_extension.load", "torch.utils.cpp_extension.CUDAExtension"}
NATIVE_BUILDERS |= {"torch.utils.cpp_extension.CppExtension", "setuptools.Extension", "distutils.core.Extension"}
INLINE_BUILDERS = {"torch.utils.cpp_extension.load_inline", "cupy.RawKernel", "cupy.RawModule", "cffi.FFI().verify"}
INLINE_BUILDERS |= {"cffi.FFI().set_source"}
INLINE_BUILDERS |= {"pycuda.compiler.SourceModule", "torch.cuda._compile_kernel"}
LIBRARIES = {f"ctypes.{name}" for name in "CDLL PyDLL cdll.LoadLibrary pydll.LoadLibrary".split()}
LIBRARIES |= {"ctypes.LibraryLoader().LoadLibrary", "_ctypes.dlopen", "cffi.FFI().dlopen", "_cffi_backend.load_library"}
LIBRARIES |= {f"{owner}.load_library" for owner in ("torch.ops", "torch.classes", "numpy.ctypeslib")}
LIBRARIES |= {"tensorflow.load_op_library", "torch._inductor.aoti_load_package", "torch._export.aot_load"}
LIBRARIES |= {"imp.load_dynamic", "pycuda.driver.module_from_file", "llvmlite.binding.load_library_permanently"}
LOADERS = {"ctypes.cdll", "ctypes.pydll", "ctypes.LibraryLoader()"}  # `ctypes.cdll["./a.so"]`
UNPICKLERS = {"torch.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "joblib.load"}
UNPICKLERS |= {"cloudpickle.load", "cloudpickle.loads", "pandas.read_pickle", "_pickle.loads", "_pickle.load"}
UNPICKLERS |= {"yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "jsonpickle.decode", "shelve.open"}
UNFOLLOWED = {  # what runs there, in words
    **dict.fromkeys(("marshal.loads", "marshal.load", "types.CodeType", "types.FunctionType"), "a code object"),
    **dict.fromkeys(("code.InteractiveConsole", "code.interact"), "what is typed or read there"),
    **{
        f"sys.{hooks}.{change}": "an import hook of its own"
        for hooks in ("meta_path", "path_hooks")
        for change in ("append", "insert", "extend", "__setitem__")
    },
}
REPLACED = {f"builtins.{name}" for name in ("exec", "eval", "__import__", "open", "compile", "getattr")} | {
    "sys.meta_path"
}
STARTING_VARIABLES = {"PYTHONSTARTUP", "LD_PRELOAD", "LD_AUDIT", "BASH_ENV"}  # of the environment: what runs at a start
SET_VARIABLES = {"os.putenv", "os.environ.setdefault", "os.environ.__setitem__"}
STANDARD_INPUT = {f"sys.stdin.{name}" for name in "read readline readlines buffer.read buffer.readline".split()}
PATH_READS = {"read_text", "read_bytes"}
PATH_MOVES = {"rename", "replace"}
PATH_WRITES = {"write_text", "write_bytes"}
TOKENIZER_LOADS = {"load", "Load", "LoadFromFile", "load_from_file"}
SILENT_READS = TOKENIZER_LOADS | MOVES  # of a computed name nothing is said
SHORT_NAMES = {name.rpartition(".")[2] for name in EXECUTORS | IMPORTERS | set(FILE_IMPORTERS) | STARTERS}
