#!/usr/bin/env lfut
-- SPDX-License-Identifier: MIT
--
-- Computes arithmetic expressions, one a line: 1 + 2 * (3 - 4) / 5 ^ 2. The grammar
-- is LPeg's. Such a pattern is an object of a C library and cannot be sent to a
-- worker; so each worker makes its own, in the initializer, and keeps it as a
-- global. The tasks find it there.
--
--   lfut lpeg_calc.lua FILE
--   seq 10 | sed 's/$/ ^ 2 + 1/' | lfut lpeg_calc.lua /dev/stdin
local lfut = require "lfut"

local there, lpeg = pcall(require, "lpeg")
if not there then
  print("skipped: cannot load 'lpeg'")
  return
end

local function compute(a, operator, b)
  if operator == "+" then
    return a + b
  elseif operator == "-" then
    return a - b
  elseif operator == "*" then
    return a * b
  end
  return a / b
end

-- Runs once in each worker. 'farthest' is how far the grammar has got in a line, to
-- tell where a mistake is; a function in a pattern is one of the worker's, too.
local function make_grammar()
  local P, R, S, V, C, Cf, Cg = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cf, lpeg.Cg
  farthest = 1
  local space = S " \t" ^ 0 * P(function(_, position)
    farthest = math.max(farthest, position)
    return true
  end)
  local function token(pattern)
    return pattern * space
  end
  local digits = R "09" ^ 1
  local number = token(C(digits * (P "." * digits) ^ -1) / tonumber)
  local function chain(operand, operators)
    return Cf(operand * Cg(token(C(S(operators))) * operand) ^ 0, compute)
  end
  local power = V "atom" * (token(P "^") * V "factor") ^ -1
  grammar = P {
    space * V "sum" * -1,
    sum = chain(V "product", "+-"),
    product = chain(V "factor", "*/"),
    factor = token(P "-") * V "factor" / function(x) return -x end
      + power / function(x, y) return y and x ^ y or x end,
    atom = number + token(P "(") * V "sum" * token(P ")"),
  }
end

local function calculate(line)
  farthest = 1
  local value = grammar:match(line)
  return value and ("%.10g"):format(value) or ("wrong at column %d"):format(farthest)
end

assert(arg[1], "usage: lfut lpeg_calc.lua FILE")
local lines = {}
for line in io.lines(arg[1]) do
  lines[#lines + 1] = line
end

local exe <close> = lfut.ThreadPoolExecutor{ initializer = make_grammar }
for i, value in exe:map(calculate, lines) do
  print(("%s = %s"):format(lines[i], value))
end
