// A large backlog is shipped in little memory, by a process of its own.
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { built, startProcess } from '../helpers/script.ts'
import { sized } from '../helpers/sized.ts'

const MB = sized(1000, 60)
const MAX_RSS_MIB = 128

test.skipIf(!native.canLock)(
  `${MB} MB to a slow target: at most ${MAX_RSS_MIB} MiB`,
  { timeout: 300_000 },
  async () => {
    const path = join(createFolder(), 'app.log')
    const records = 5_000
    const chunk = Buffer.from(`${'x'.repeat(199)}\n`.repeat(records))
    for (let file = 0; file < MB / 50; file++) {
      const name = file + 1 < MB / 50 ? `${path}.20260101-0000${String(file).padStart(2, '0')}.0` : path
      const fd = openSync(name, 'w')
      for (let i = 0; i < 50; i++) writeSync(fd, chunk)
      closeSync(fd)
    }
    const child = await startProcess(`
    import { setTimeout } from 'node:timers/promises'
    import { Shipper } from ${built('index.js')}
    console.log('ready')
    let found = 0
    const send = async ({ records }) => {
      await setTimeout(1)
      found += records.length
      return []
    }
    const target = { name: 'nowhere', guarantee: '', splits: false, maxInFlight: 4, send }
    await new Shipper({ source: ${JSON.stringify(path)}, target, follow: false }).run()
    console.log(JSON.stringify({ found, rssMiB: process.resourceUsage().maxRSS / 1024 }))`)
    let said = ''
    child.stdout?.on('data', (text) => {
      said += text
    })
    await new Promise((resolve) => child.once('close', resolve))
    const { found, rssMiB } = JSON.parse(said.trim().split('\n').at(-1) ?? '')
    expect(found).toBe(Math.ceil(MB / 50) * 50 * records)
    expect(rssMiB).toBeLessThanOrEqual(MAX_RSS_MIB)
  }
)
