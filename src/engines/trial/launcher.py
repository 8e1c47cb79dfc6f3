# Runs llama.cpp's own HTTP server inside Python, as a child of FLM (process.ts), which hands this text and a
# job over on standard input and keeps that open. Says where it listens in one JSON line on standard output;
# ends when standard input does, so that it never outlives FLM, however that ended.
import json
import os
import signal
import sys


def main(job):
    # Ctrl-C and a closed terminal reach the whole group: it is FLM that decides when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'SIGHUP'):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    # Standard output is for the one line; whatever C++ prints goes where its log goes.
    answers = os.dup(1)
    os.dup2(2, 1)

    sys.path.insert(0, job['directory'])
    import xllamacpp

    server = listen(xllamacpp, job)
    port = int(server.listening_address.rsplit(':', 1)[1])
    os.write(answers, (json.dumps({'port': port}) + '\n').encode())
    while sys.stdin.buffer.read(65536):
        pass
    # Not sys.exit: the server's threads would first finish what they are generating.
    os._exit(0)


def listen(xllamacpp, job):
    """Starts the server on the port it had before, else on a free one; that is told apart by trying."""
    if job['port']:
        try:
            return xllamacpp.Server(parameters(xllamacpp, job, job['port']))
        except RuntimeError:
            pass
    return xllamacpp.Server(parameters(xllamacpp, job, 0))


def parameters(xllamacpp, job, port):
    p = xllamacpp.CommonParams()
    p.model.path = job['model']
    p.model_alias = {job['alias']}
    p.chat_template = job['template']
    p.use_jinja = True
    p.offline = True

    p.hostnames = ['127.0.0.1']
    p.port = port
    p.endpoint_slots = p.endpoint_metrics = p.endpoint_props = True
    # Each stream holds one, also while it waits for a slot: questions about its health must not wait behind them.
    p.n_threads_http = 32
    p.ui = False
    # By default every web page that the user opens may read the engine's answers.
    p.cors_origins = 'localhost'

    # Chat and embeddings from the one server.
    p.embedding = True
    p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # As llama-server does by itself: the slots share the context, so a single user has all of it.
    p.n_parallel = job['slots']
    p.n_ctx = job['context']
    p.kv_unified = True
    p.n_batch = p.n_ubatch = 512
    # By default up to 8 GB of old prompts stay in memory.
    p.cache_ram_mib = 0

    p.n_gpu_layers = 0
    p.fit_params = False
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads()
    # Warnings and errors.
    p.verbosity = 2
    return p


def threads():
    """Half the processors, at most four. llama.cpp's threads spin while they wait for each other: where another
    program has the processor of one, all of them stand still (2 threads on 2 busy processors: 2 tokens/s, 1: 60).
    """
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:
        processors = os.cpu_count() or 1
    return max(1, min(4, processors // 2))


main(job)  # noqa: F821: process.ts defines it before it runs this text.
