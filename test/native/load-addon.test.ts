// Which binary is loaded, and what is said where none is.
import { copyFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { addonFile, needsAddon, whyNoAddon } from '../../src/native/index.ts'
import { loadAddon } from '../../src/native/load-addon.ts'
import { createFolder } from '../helpers/folder.ts'

const names = ['lock', 'renameNoReplace']
const real = { arch: process.arch, platform: process.platform }

function pretend(name: 'arch' | 'platform', value: string): void {
  Object.defineProperty(process, name, { value, configurable: true, enumerable: true })
}

afterEach(() => {
  vi.unstubAllEnvs()
  pretend('arch', real.arch)
  pretend('platform', real.platform)
})

test.each(['0', 'off', 'false', 'no', ' 0 '])('LOGBOOM_NATIVE=%s is the reason given', (value) => {
  vi.stubEnv('LOGBOOM_NATIVE', value)
  expect(loadAddon(names)).toEqual({ reason: `LOGBOOM_NATIVE=${value.trim()} switches it off` })
})

test.each(['arm', 'riscv64', 's390x'])('on a platform without a binary (%s) the path is named', (arch) => {
  vi.stubEnv('LOGBOOM_NATIVE', '')
  pretend('arch', arch)
  const { reason } = loadAddon(names)
  expect(reason).toMatch(/^there is no binary for this platform at \//)
  expect(reason).toContain(join('prebuilds', `${process.platform}-${arch}`))
})

describe('a file that LOGBOOM_NATIVE names', () => {
  test('and that is not there', () => {
    const file = join(createFolder(), 'logboom.node')
    vi.stubEnv('LOGBOOM_NATIVE', file)
    expect(loadAddon(names).reason).toBe(`${file}, which LOGBOOM_NATIVE names, is not there`)
  })

  test.each([
    ['text', Buffer.from('this is no library')],
    ['nothing', Buffer.alloc(0)],
    ['the beginning of a library', Buffer.concat([Buffer.from('7f454c4602010100', 'hex'), Buffer.alloc(500)])]
  ])('and that holds %s: the words of the loader are given, in one line', (_, content) => {
    const file = join(createFolder(), 'logboom.node')
    writeFileSync(file, content)
    vi.stubEnv('LOGBOOM_NATIVE', file)
    const { reason } = loadAddon(names)
    expect(reason).toMatch(/does not load: \S[^\n]{5,}$/)
    expect(reason?.split(file)).toHaveLength(2)
  })

  test.each(['null', '5', '{}'])('and that is none, but JSON (%s)', (content) => {
    const file = join(createFolder(), 'logboom.json')
    writeFileSync(file, content)
    vi.stubEnv('LOGBOOM_NATIVE', file)
    expect(loadAddon(names).reason).toMatch(/was built from other sources: it has no lock, renameNoReplace$/)
  })

  test.skipIf(addonFile === undefined)('is loaded, also by a path relative to the working directory', () => {
    const file = join(createFolder(), 'renamed.bin.node')
    copyFileSync(addonFile ?? '', file)
    vi.stubEnv('LOGBOOM_NATIVE', relative(process.cwd(), file))
    const loaded = loadAddon(names)
    expect(loaded.file).toBe(file)
    expect(Object.keys(loaded.exports ?? {})).toEqual(expect.arrayContaining(names))
  })

  test.skipIf(addonFile === undefined)(
    'and that was built from other sources: what it lacks is named',
    () => {
      vi.stubEnv('LOGBOOM_NATIVE', addonFile)
      expect(loadAddon([...names, 'levitate']).reason).toMatch(
        /was built from other sources: it has no levitate$/
      )
    }
  )
})

test('there is either a file or a reason, and the reason is part of what is refused', () => {
  expect([addonFile, whyNoAddon].filter((value) => value !== undefined)).toHaveLength(1)
  expect(needsAddon("option 'lock'")).toMatch(/^option 'lock' needs the native addon: ./)
  if (whyNoAddon !== undefined) expect(needsAddon('x')).toContain(whyNoAddon)
})
