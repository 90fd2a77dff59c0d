import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { writeSlot } from '../../../src/formats/lock-file.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { startProcess } from '../../helpers/script.ts'

test.skipIf(!native.canLock)(
  'who is removing backups sees to those of writers that have ended meanwhile',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    let goOn: (() => void) | undefined
    const listed = { names: (_: unknown): void => {} }
    const firstListing = new Promise((resolve) => {
      listed.names = resolve
    })
    const disk: Disk = {
      ...realDisk,
      readdirAsync: async (at) => {
        const names = await realDisk.readdirAsync(at)
        if (goOn === undefined) {
          await new Promise<void>((resolve) => {
            goOn = resolve
            listed.names(names)
          })
        }
        return names
      }
    }
    const slow = withInternals({ disk }, () => new RotatingFile({ path, maxBackups: 2 }))
    await firstListing
    const quick = new RotatingFile({ path, maxBackups: 2, maxBytes: 10 })
    for (let i = 0; i < 6; i++) quick.writeLine('123456789')
    await quick.close()
    goOn?.()
    await slow.close()
    expect(groupBackups('app.log', readdirSync(folder)).length).toBe(2)
  }
)

test.skipIf(!native.canLock)(
  'a process with nothing else to do waits for its flush while another one holds the lock',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    await new RotatingFile({ path }).close()
    const fd = openSync(join(folder, '.app.log.lock'), 'r+')
    expect(native.lock(fd, writeSlot, 0)).toBe(true)
    const child = await startProcess(`
      import { RotatingFile } from 'logboom'
      const file = new RotatingFile({ path: ${JSON.stringify(path)} })
      console.log('open')
      file.write('line\\n')
      await file.flush()
      file.write('after\\n')
    `)
    const exit = once(child, 'exit')
    await sleep(300)
    closeSync(fd)
    expect(await exit).toEqual([0, null])
    expect(readFileSync(path, 'utf8')).toBe('line\nafter\n')
  }
)
