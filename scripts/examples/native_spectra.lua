#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Spectra of signals with FFTW, whose functions have different rules: plans are
-- made one at a time, and may be executed by many threads at once. So the
-- library is loaded twice, with a rule for each half.
local lfut = require "lfut"

local ok, planner = pcall(lfut.load, "fftw3", [[
  typedef struct fftw_plan_s *fftw_plan;
  #define FFTW_ESTIMATE 64
  fftw_plan fftw_plan_dft_r2c_1d(int n, double *in, double *out, unsigned flags);
  void fftw_destroy_plan(fftw_plan plan);
]], { threads = "serial", error = { fftw_plan_dft_r2c_1d = "null" } })
if not ok then
  print("skipped: " .. planner)
  return
end
local fftw = lfut.load("fftw3", [[
  typedef struct fftw_plan_s *fftw_plan;
  void fftw_execute_dft_r2c(fftw_plan plan, double *in, double *out);
]], { threads = "safe" })

local n, signals = 1024, 8

-- Signal s has s waves of height 1, and ten times as many of height 1/2. The
-- spectrum is complex: pairs of numbers.
local calls, spectra = {}, {}
local plan
for s = 1, signals do
  local signal = lfut.Array("double", n)
  spectra[s] = lfut.Array("double", 2 * (n // 2 + 1))
  plan = plan or planner.fftw_plan_dft_r2c_1d(n, signal, spectra[s], planner.FFTW_ESTIMATE)
  for i = 1, n do
    local angle = 2 * math.pi * (i - 1) / n
    signal[i] = math.sin(s * angle) + 0.5 * math.cos(10 * s * angle)
  end
  calls[s] = { plan, signal, spectra[s] }
end

local exe <close> = lfut.ThreadPoolExecutor()
exe:starmap(fftw.fftw_execute_dft_r2c, calls):list()
planner.fftw_destroy_plan(plan)

for s = 1, signals do
  local peaks = {}
  for k = 0, n // 2 do
    local re, im = spectra[s]:get(2 * k + 1, 2 * k + 2)
    local height = math.sqrt(re * re + im * im) * 2 / n
    if height > 1e-9 then
      peaks[#peaks + 1] = ("%.1f at %d"):format(height, k)
    end
  end
  print(s, table.concat(peaks, ", "))
end
