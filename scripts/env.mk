# Environment of everything that make starts: which library is imported, memory, threads.

# The library of this checkout, wherever it was moved and whatever environment is used.
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

# glibc gives memory back after every step and takes it again page by page: a sixth of a training step.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_        ?= 67108864

# Threads that wait actively: a fifth more images per second where nothing else needs the cores, and
# benchmarks repeat better.
## environment of training, evaluation and benchmarks
SPIN ?= OMP_WAIT_POLICY=active
