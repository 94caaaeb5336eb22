# The rules of `make reproduce`, which calls this file: every arrow a file. OUT, P, REFINER, PY and SPIN come
# from the Makefile. d3ke_lib/experiment/plan.py has written, just before,
#   $(OUT)/plan.mk    RUNS: the profile's runs as backbone.seed
#   $(OUT)/stamps/    one file per page, renewed when the page is out of date
# so that a page depends on its stamp alone; what stands behind | says only which page is made first.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

include $(OUT)/plan.mk

NB        := $(OUT)/notebooks
STAMP     := $(OUT)/stamps
RUN       := $(PY) scripts/run_notebook.py
SOURCES   := $(patsubst notebooks/%.ipynb,%,$(sort $(wildcard notebooks/*.ipynb)))
RESULTS   := $(filter 06_% 07_%,$(SOURCES))
OTHERS    := $(filter-out 02_% 04_% 05_% $(RESULTS),$(SOURCES))
FRAMES    := $(RUNS:%=$(NB)/04_frame.%.ipynb)
TEMPORALS := $(RUNS:%=$(NB)/05_temporal.$(REFINER).%.ipynb)
PAGES     := $(OTHERS:%=$(NB)/%.ipynb) $(NB)/02_data.ipynb $(FRAMES) $(TEMPORALS) $(RESULTS:%=$(NB)/%.ipynb)
backbone   = $(firstword $(subst ., ,$*))
seed       = $(lastword $(subst ., ,$*))

$(OUT)/report/index.html: $(STAMP)/report $(PAGES)
	@$(PY) scripts/build_report.py $(notdir $(OUT))

$(PAGES): | $(OUT)/expected_time.json

$(OUT)/expected_time.json:
	@$(SPIN) $(PY) scripts/expected_time.py $(P) $@

$(OTHERS:%=$(NB)/%.ipynb) $(NB)/02_data.ipynb: $(NB)/%.ipynb: $(STAMP)/%
	@$(RUN) notebooks/$*.ipynb $@ profile=$(P)

$(FRAMES): $(NB)/04_frame.%.ipynb: $(STAMP)/04_frame.% | $(NB)/02_data.ipynb
	@$(SPIN) $(RUN) notebooks/04_frame.ipynb $@ profile=$(P) backbone=$(backbone) seed=$(seed)

$(TEMPORALS): $(NB)/05_temporal.$(REFINER).%.ipynb: $(STAMP)/05_temporal.$(REFINER).% | $(NB)/04_frame.%.ipynb
	@$(SPIN) $(RUN) notebooks/05_temporal.ipynb $@ profile=$(P) backbone=$(backbone) seed=$(seed) refiner=$(REFINER)

$(RESULTS:%=$(NB)/%.ipynb): $(NB)/%.ipynb: $(STAMP)/% | $(TEMPORALS)
	@$(SPIN) $(RUN) notebooks/$*.ipynb $@ profile=$(P) refiner=$(REFINER)

$(filter $(NB)/07_%,$(RESULTS:%=$(NB)/%.ipynb)): | $(filter $(NB)/06_%,$(RESULTS:%=$(NB)/%.ipynb))
