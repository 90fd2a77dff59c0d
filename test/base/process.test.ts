import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { isAlive } from '../../src/base/process.ts'

test('a process that runs is alive, one that ended is not', () => {
  expect([isAlive(process.pid), isAlive(process.ppid)]).toEqual([true, true])
  expect(isAlive(spawnSync('true').pid)).toBe(false)
})

test('what is no process id is no process', () => {
  for (const pid of [0, -1, -process.pid, 1.5, Number.NaN, 2 ** 31, 2 ** 53])
    expect([pid, isAlive(pid)]).toEqual([pid, false])
})
