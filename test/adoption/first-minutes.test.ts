// README.md as a new user follows it: with the addon, without it, and on systems with hardly more than Node.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const script = join(import.meta.dirname, '../../scripts/first-minutes.mjs')

describe.each(['here', 'here without addon', 'bare Debian 11', 'bare musl'])('%s', (name) => {
  test('every program and command of the README runs, and there is a rotated file within a minute', {
    timeout: 600_000
  }, ({ skip }) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, name], { encoding: 'utf8' })
    const said = stdout.split('\n').find((line) => line.includes(`  ${name}: `)) ?? stdout + stderr
    if (said.startsWith('SKIP')) skip(said)
    expect(said).toMatch(/^PASS/)
    expect(status).toBe(0)
  })
})
