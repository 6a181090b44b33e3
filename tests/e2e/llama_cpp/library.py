"""llama.cpp's C interface, as much of it as a comparison of logits needs, from the library inside xllamacpp's wheel."""
import ctypes
import pathlib

import numpy as np
import xllamacpp

LIB = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("*.abi3.so"))))


class Params(ctypes.Structure):
    """Stands for a struct of parameters that is only handed on: larger than any of them, passed in memory as they are."""
    _fields_ = [("bytes", ctypes.c_ubyte * 1024)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("pointers", ctypes.c_void_p * 6)]


def function(name, result, *arguments):
    f = getattr(LIB, name)
    f.restype, f.argtypes = result, arguments
    return f


POINTER, INT = ctypes.c_void_p, ctypes.c_int32
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, POINTER)
silence = LOG(lambda level, text, data: None)
function("llama_log_set", None, LOG, POINTER)(silence, None)
function("llama_backend_init", None)()
model_params = function("llama_model_default_params", Params)
context_params = function("llama_context_default_params", Params)
load = function("llama_model_load_from_file", POINTER, ctypes.c_char_p, Params)
new_context = function("llama_init_from_model", POINTER, POINTER, Params)
free_context = function("llama_free", None, POINTER)
vocabulary = function("llama_model_get_vocab", POINTER, POINTER)
vocabulary_size = function("llama_vocab_n_tokens", INT, POINTER)
tokenize = function("llama_tokenize", INT, POINTER, ctypes.c_char_p, INT, POINTER, INT, ctypes.c_bool, ctypes.c_bool)
template = function("llama_model_chat_template", ctypes.c_char_p, POINTER, ctypes.c_char_p)
batch_of = function("llama_batch_get_one", Batch, POINTER, INT)
decode = function("llama_decode", INT, POINTER, Batch)
get_logits = function("llama_get_logits", ctypes.POINTER(ctypes.c_float), POINTER)


class Model:
    def __init__(self, path):
        self.model = load(str(path).encode(), model_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        self.vocabulary = vocabulary(self.model)
        self.rows = vocabulary_size(self.vocabulary)

    def tokenize(self, text, bos=True):
        room = (INT * 4096)()
        data = text.encode()
        return list(room[:tokenize(self.vocabulary, data, len(data), room, len(room), bos, True)])

    def template(self):
        return template(self.model, None).decode()

    def logits(self, ids):
        """Of every position, token by token."""
        context = new_context(self.model, context_params())
        rows = []
        for token in ids:
            if decode(context, batch_of((INT * 1)(token), 1)) != 0:
                raise RuntimeError("llama_decode failed")
            rows.append(np.ctypeslib.as_array(get_logits(context), (self.rows,)).copy())
        free_context(context)
        return np.stack(rows)
