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
OUT      := out/$(P)
NB       := $(OUT)/notebooks
ifeq ($(filter $(REFINER),transformer tcn lstm),)
$(error unknown REFINER '$(REFINER)'; known: transformer, tcn, lstm)
endif
RUN      := $(PY) scripts/run_notebook.py

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

# -- the pipeline: every arrow a file -------------------------------------------------------------------

# A room of the library with all that lies below it.
room = $(shell find d3ke_lib/$(1) -name '*.py' -o -name '*.json' -o -name '*.toml' -o -name '*.html')
BODY_SRC     := $(call room,body) $(wildcard data/body/*.osim data/body/*.json)
DATA_SRC     := $(BODY_SRC) $(call room,data)
TRAIN_SRC    := $(DATA_SRC) $(call room,nets) $(call room,experiment/run) d3ke_lib/experiment/pipeline.py
EVALUATE_SRC := $(call room,experiment/evaluation)
FIGURES_SRC  := $(call room,experiment/report)
REPORT_SRC   := $(FIGURES_SRC) $(wildcard data/*.json scripts/build_report.py scripts/report/* scripts/report/*/*)

# stages.mk lists the profile's runs (RUN_NAMES = backbone.seed …); an unknown profile ends here by name.
# What was asked for last: with another refiner or other seeds, evaluation and what follows it are made anew.
ifneq ($(filter reproduce report $(OUT)/%,$(MAKECMDGOALS)),)
remember = $(shell mkdir -p $(OUT); echo $(2) | cmp -s - $(OUT)/$(1) || echo $(2) > $(OUT)/$(1))
$(call remember,refiner,$(REFINER))
$(call remember,seeds,$(SEEDS))
include $(OUT)/stages.mk
endif

$(OUT)/stages.mk: $(OUT)/seeds d3ke_lib/experiment/run/config.py d3ke_lib/experiment/pipeline.py | $(READY)
	@$(PY) -m d3ke_lib.experiment.pipeline $(P) $@

FRAMES    := $(RUN_NAMES:%=$(NB)/04_frame.%.ipynb)
TEMPORALS := $(RUN_NAMES:%=$(NB)/05_temporal.$(REFINER).%.ipynb)
backbone   = $(firstword $(subst ., ,$*))
seed       = $(lastword $(subst ., ,$*))

reproduce: $(OUT)/report/index.html
	@echo "report: $<"
report: reproduce

$(OUT)/expected_time.json: | $(READY)
	@$(SPIN) $(PY) scripts/expected_time.py $(P) $@

$(NB)/01_body.ipynb: notebooks/01_body.ipynb $(BODY_SRC) | $(READY) $(OUT)/expected_time.json
	@$(RUN) $< $@ profile=$(P)

$(NB)/02_data.ipynb: notebooks/02_data.ipynb $(DATA_SRC) | $(READY) $(OUT)/expected_time.json
	@$(RUN) $< $@ profile=$(P)

$(NB)/03_backbones.ipynb: notebooks/03_backbones.ipynb $(wildcard d3ke_lib/nets/*.py) | $(READY) $(OUT)/expected_time.json
	@$(RUN) $< $@ profile=$(P)

$(FRAMES): $(NB)/04_frame.%.ipynb: notebooks/04_frame.ipynb $(NB)/02_data.ipynb $(TRAIN_SRC)
	@$(SPIN) $(RUN) $< $@ profile=$(P) backbone=$(backbone) seed=$(seed)

$(TEMPORALS): $(NB)/05_temporal.$(REFINER).%.ipynb: notebooks/05_temporal.ipynb $(NB)/04_frame.%.ipynb
	@$(SPIN) $(RUN) $< $@ profile=$(P) backbone=$(backbone) seed=$(seed) refiner=$(REFINER)

$(NB)/06_evaluation.ipynb: notebooks/06_evaluation.ipynb $(FRAMES) $(TEMPORALS) $(OUT)/refiner $(OUT)/seeds $(EVALUATE_SRC)
	@$(SPIN) $(RUN) $< $@ profile=$(P) refiner=$(REFINER)

$(NB)/07_figures.ipynb: notebooks/07_figures.ipynb $(NB)/06_evaluation.ipynb $(FIGURES_SRC)
	@$(RUN) $< $@ profile=$(P) refiner=$(REFINER)

$(NB)/08_opensim.ipynb: notebooks/08_opensim.ipynb $(BODY_SRC) $(wildcard $(addprefix data/results/,opensim_agreement.json ik.json skeleton.json)) | $(READY) $(OUT)/expected_time.json
	@$(RUN) $< $@ profile=$(P)

$(OUT)/report/index.html: $(NB)/01_body.ipynb $(NB)/02_data.ipynb $(NB)/03_backbones.ipynb $(NB)/07_figures.ipynb $(NB)/08_opensim.ipynb $(REPORT_SRC)
	@$(PY) scripts/build_report.py $(P)

$(NB)/09_faithful.ipynb: notebooks/09_faithful.ipynb $(wildcard d3ke_lib/nets/*.py data/*.json data/results/*.json) | $(READY) $(OUT)/expected_time.json
	@$(RUN) $< $@ profile=$(P)

$(OUT)/report/index.html: $(NB)/09_faithful.ipynb

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
