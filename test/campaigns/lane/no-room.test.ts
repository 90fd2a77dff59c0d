// File systems without room: a ring is refused when it is made, and one that is made can be used to its last byte. A page
// without room would end the process with SIGBUS, so a child uses the ring.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LaneFolder } from '../../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../../src/core/lane/owner.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { description, takeAll } from '../../helpers/lane.ts'
import { canMount, fill, fillInodes, mountExt4, mountTmpfs } from '../../helpers/mount.ts'
import { built } from '../../helpers/script.ts'

const CAPACITY = 1024 * 1024

/** Opens the only ring there and fills it five times over; prints how many records came out. */
function useAll(folder: string): {
  status: number | null
  signal: string | null
  stdout: string
  stderr: string
} {
  const code = `import { LaneFolder, realDisk } from ${built('core/lane/internals.js')}
    const folder = LaneFolder.open(realDisk, ${JSON.stringify(folder)})
    const ring = folder.openRing(folder.list().rings[0])
    const target = Buffer.alloc(${2 * CAPACITY}), ends = new Uint32Array(10_000)
    let taken = 0
    for (let turn = 0; turn < 5; turn++) {
      while (ring.append('x'.repeat(1000)));
      const read = ring.read(ring.drained, target, ends)
      taken += read.records
      ring.release(read.next)
    }
    console.log(taken)`
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
}

const places = [
  { what: 'memory', make: () => mountTmpfs('4m') },
  { what: 'a disk', make: () => mountExt4([]).folder }
]

describe.skipIf(!MappedRing.isAvailable || !canMount).each(places)(
  'on $what (needs the addon and root)',
  ({ make }) => {
    test('a ring is refused where there is no room for it, and made when there is', () => {
      const folder = LaneFolder.open(realDisk, join(make(), 'lane'))
      const owner = LaneOwner.create(folder)
      const empty = fill(join(folder.path, '..'))
      expect(() => owner.createRing(description, CAPACITY)).toThrow(/ENOSPC.*\[ERR_IO\]/)
      expect(readdirSync(folder.path)).toEqual([`${owner.id}.owner`])
      empty()
      const ring = owner.createRing(description, CAPACITY)
      expect(ring.append('here')).toBe(true)
      ring.close()
      owner.close()
    })

    test('a ring that is made has room for all it can hold, also when the file system is full', () => {
      const folder = LaneFolder.open(realDisk, join(make(), 'lane'))
      const owner = LaneOwner.create(folder)
      const ring = owner.createRing(description, CAPACITY)
      fill(join(folder.path, '..'))
      // One that does not fit half of the ring needs room of its own, and goes through memory where there is none.
      const large = 'y'.repeat(CAPACITY)
      expect(ring.append(large)).toBe(true)
      expect(ring.memory.records).toHaveLength(1)
      expect(ring.append('z')).toBe(true)
      expect(takeAll(ring).map(String)).toEqual([large, 'z'])
      expect(ring.memory.records).toEqual([])
      expect(readdirSync(folder.path).filter((name) => name.endsWith('.big'))).toEqual([])
      const used = useAll(folder.path)
      expect([used.status, used.signal, used.stderr]).toEqual([0, null, ''])
      expect(Number(used.stdout)).toBeGreaterThan(5000)
      ring.close()
      owner.close()
    })
  }
)

test.skipIf(!MappedRing.isAvailable || !canMount)(
  'no file more in the file system is no room, too (needs the addon and root)',
  () => {
    const root = mountTmpfs('4m,nr_inodes=16')
    const folder = LaneFolder.open(realDisk, join(root, 'lane'))
    const owner = LaneOwner.create(folder)
    const free = fillInodes(root)
    expect(() => owner.createRing(description, CAPACITY)).toThrow(/ENOSPC.*\[ERR_IO\]/)
    expect(() => LaneOwner.create(folder)).toThrow(/ENOSPC.*\[ERR_IO\]/)
    free()
    owner.createRing(description, CAPACITY).close()
    owner.close()
  }
)
