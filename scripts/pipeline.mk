# The rules of `make reproduce`, which calls this file: every arrow a file. OUT, P, REFINER, PY and SPIN come
# from the Makefile. d3ke_lib/experiment/plan.py has written, just before,
#   $(OUT)/plan.mk    RUNS: the profile's runs as backbone.seed; PAGES: the executed notebooks; STALE: those to execute
#   $(OUT)/stamps/    one file per page, renewed when the page is out of date
# so that a page depends on its stamp alone; what stands behind | only comes first.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

include $(OUT)/plan.mk

NB        := $(OUT)/notebooks
STAMP     := $(OUT)/stamps
FRAMES    := $(RUNS:%=$(NB)/04_frame.%.ipynb)
TEMPORALS := $(RUNS:%=$(NB)/05_temporal.$(REFINER).%.ipynb)
RESULTS   := $(filter 06_% 07_%,$(PAGES))
OTHERS    := $(filter-out 04_% 05_% $(RESULTS),$(PAGES))
RUN       := D3KE_STAGES="$(STALE:%=$(NB)/%.ipynb)" $(PY) scripts/run_notebook.py
backbone   = $(firstword $(subst ., ,$*))
seed       = $(lastword $(subst ., ,$*))

$(OUT)/report/index.html: $(STAMP)/report $(PAGES:%=$(NB)/%.ipynb)
	@$(PY) scripts/build_report.py $(notdir $(OUT))

$(PAGES:%=$(NB)/%.ipynb): | $(OUT)/expected_time.json

$(OUT)/expected_time.json:
	@$(SPIN) $(PY) scripts/expected_time.py $(P) $@

$(OTHERS:%=$(NB)/%.ipynb): $(NB)/%.ipynb: $(STAMP)/%
	@$(RUN) notebooks/$*.ipynb $@ profile=$(P)

$(FRAMES): $(NB)/04_frame.%.ipynb: $(STAMP)/04_frame.% | $(NB)/02_data.ipynb
	@$(SPIN) $(RUN) notebooks/04_frame.ipynb $@ profile=$(P) backbone=$(backbone) seed=$(seed)

$(TEMPORALS): $(NB)/05_temporal.$(REFINER).%.ipynb: $(STAMP)/05_temporal.$(REFINER).% | $(NB)/04_frame.%.ipynb
	@$(SPIN) $(RUN) notebooks/05_temporal.ipynb $@ profile=$(P) backbone=$(backbone) seed=$(seed) refiner=$(REFINER)

$(RESULTS:%=$(NB)/%.ipynb): $(NB)/%.ipynb: $(STAMP)/% | $(TEMPORALS)
	@$(SPIN) $(RUN) notebooks/$*.ipynb $@ profile=$(P) refiner=$(REFINER)

$(filter $(NB)/07_%,$(RESULTS:%=$(NB)/%.ipynb)): | $(filter $(NB)/06_%,$(RESULTS:%=$(NB)/%.ipynb))
