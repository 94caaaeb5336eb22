# make reproduce [P=demo|smoke|gpu]   clone → data → training → evaluation → report
# make reproduce P=bmlmovi RAW=folder the same on the paper's data (data/README.md)
# make test                           lint, unit tests, notebooks
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

P        ?= demo
REFINER  ?= transformer
BACKBONE ?= resnext50_32x4d
PYTHON   ?= python3
VENV     ?= .venv
PY       := $(VENV)/bin/python
READY    := $(VENV)/.requirements
# Overrides give a profile a folder of its own.
OUT      := $(or $(D3KE_OUT),out)/$(P)$(addprefix .,$(basename $(notdir $(OVERRIDES))))
ifeq ($(filter $(REFINER),transformer tcn lstm),)
$(error unknown REFINER '$(REFINER)'; known: transformer, tcn, lstm)
endif

# glibc gives memory back after every step and takes it again page by page: a sixth of a training step.
export MALLOC_MMAP_THRESHOLD_ ?= 4294967296
export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
export MALLOC_TOP_PAD_        ?= 67108864

# Threads that wait for each other awake: a fifth more images a second where nothing else needs the cores,
# and with nothing else on them benchmarks repeat better.
SPIN ?= OMP_WAIT_POLICY=active

# BMLmovi: the folder of the downloads; BODY: another .osim than our own, D3KE's, say; PARTIAL=1 goes on
# without what could not be made.
ifdef RAW
export D3KE_RAW := $(abspath $(RAW))
endif
ifdef OCCLUDERS
export D3KE_OCCLUDERS := $(abspath $(OCCLUDERS))
endif
ifdef BODY
export D3KE_BODY := $(abspath $(BODY))
endif
ifdef PARTIAL
export D3KE_PARTIAL := $(PARTIAL)
endif

# Values in place of the profile's, from a TOML file: d3ke_lib/experiment/run/overrides.py.
ifdef OVERRIDES
export D3KE_OVERRIDES := $(abspath $(OVERRIDES))
endif
ifdef D3KE_OUT
export D3KE_OUT := $(abspath $(D3KE_OUT))
endif

# Other training seeds than the profile's: SEEDS="0 1 2" trains three runs of each network.
ifdef SEEDS
export D3KE_SEEDS := $(SEEDS)
endif

help:
	@echo "make reproduce [P=demo|smoke|gpu]  everything: data, both backbones, refiner, evaluation, report"
	@echo "make check-data RAW=folder         what of BMLmovi, AMASS and SMPL-H is there, and what can be done with it"
	@echo "make reproduce SEEDS=\"0 1 2\"       several runs of each network: how much runs differ"
	@echo "make reproduce P=bmlmovi RAW=folder [BODY=file.osim] [OCCLUDERS=file] [PARTIAL=1]   everything on BMLmovi"
	@echo "make test                          ruff, import rules, unit tests, notebooks (smoke profile)"
	@echo "make predict VIDEO=file [BOX=x,y,w,h] [P=demo] [BACKBONE=$(BACKBONE)]   joint angles from a video"
	@echo "make demo-video                    the same on a real video from the package index"
	@echo "make train PROCESSES=4 [P=..] [BACKBONE=..] [SEED=0]   one frame network on several GPUs (records made before)"
	@echo "make lab                           open the notebooks in JupyterLab"
	@echo "make ablation [RECORDS=folder]     the method's switches, one at a time, by seed"
	@echo "make parity                        distances to the released networks (needs ../shared/parity)"
	@echo "make bench                         timing tables      make lock  new requirements.lock      make clean"

# -- set-up: a .venv from the hashed lock; nothing is installed twice ---------------------------------

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python >= 3.11 is needed; {sys.executable} is {v.major}.{v.minor} (set PYTHON=)")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check uv
	$(PY) -m uv pip install -q --python $(PY) --require-hashes -r requirements.lock
	@$(PY) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "d3ke.pth").write_text(str(pathlib.Path.cwd()) + "\n")'
	@touch $@

setup: $(READY)

lock: | $(READY)
	$(PY) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.lock

# -- the pipeline: scripts/pipeline.mk, by the plan that Python writes of what is out of date ------------------

reproduce: $(READY)
	+@$(PY) -m d3ke_lib.experiment.plan write $(P) $(REFINER)
	+@$(MAKE) --no-print-directory -f scripts/pipeline.mk P=$(P) REFINER=$(REFINER) OUT=$(OUT) PY=$(PY) SPIN=$(SPIN)
	@echo "report: $(OUT)/report/index.html"
report: reproduce

# -- the real data ------------------------------------------------------------------------------------------

check-data: $(READY)
	@$(PY) scripts/check_data.py "$(RAW)" $(if $(DEEP),--deep) $(if $(JSON),--json "$(JSON)")

# PASCAL VOC's objects, to stand in front of people: make occluders VOC=VOCdevkit/VOC2012, then OCCLUDERS=out/occluders.safetensors
occluders: $(READY)
	@$(PY) scripts/make_occluders.py "$(VOC)" out/occluders.safetensors

# -- use ----------------------------------------------------------------------------------------------------

predict: $(READY)
	@$(PY) scripts/predict.py "$(VIDEO)" --profile $(P) --backbone $(BACKBONE) $(if $(BOX),--box $(BOX)) $(if $(FOCAL),--focal $(FOCAL))

demo-video: $(READY)
	@$(PY) scripts/fetch_demo_video.py out/demo-video/demo.mp4
	@$(MAKE) --no-print-directory predict VIDEO=out/demo-video/demo.mp4

# Several processes, one a GPU; make reproduce then finds the network trained.
PROCESSES ?= 1
SEED      ?= 0
train: $(READY)
	$(PY) -m torch.distributed.run --standalone --nproc-per-node $(PROCESSES) scripts/train.py --profile $(P) --backbone $(BACKBONE) --seed $(SEED)

lab: $(READY)
	$(VENV)/bin/jupyter lab --notebook-dir=notebooks

# -- checks ---------------------------------------------------------------------------------------------------

# Tests train and write in a folder of their own, emptied first, and leave out/ alone.
test: export D3KE_OUT := $(CURDIR)/out/test
test: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	rm -rf out/test
	$(PY) -m pytest
	$(PY) -m pytest --nbval --nbval-cell-timeout=900 --nbval-sanitize-with tests/nbval.cfg notebooks

bench: $(READY)
	$(SPIN) $(PY) scripts/bench_render.py
	$(SPIN) $(PY) scripts/bench_skeleton.py
	$(SPIN) $(PY) scripts/bench_ik.py
	$(SPIN) $(PY) scripts/bench_step.py
	$(SPIN) $(PY) scripts/bench_backbones.py

# What the switches are worth that paper and code disagree about; stopped, it goes on. RECORDS: a folder of them.
ablation: $(READY)
	$(PY) scripts/ablate.py --profile $(P) $(if $(RECORDS),--records $(RECORDS))

# Distances to the released networks' outputs; needs ../shared/parity.
parity: $(READY)
	$(PY) scripts/parity.py

clean:
	rm -rf out .pytest_cache .ruff_cache

.PHONY: help setup lock reproduce report check-data occluders predict demo-video train lab test bench ablation parity clean
