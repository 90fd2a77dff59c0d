// Blocks that are filled with zeros ahead of small records.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const hasBlocks = native.backend === 'addon' && process.platform === 'linux'
const reason = hasBlocks ? '' : ' (skipped: no blocks can be reserved here)'

test.skipIf(!hasBlocks)(
  `zeros go to the kernel in pieces of 16 KiB, now and in the background, so that a record has few blocks beside it${reason}`,
  async () => {
    const pieces: number[] = []
    const disk: Disk = Object.assign(Object.create(realDisk), {
      write: (...args: Parameters<Disk['write']>) => {
        const [, bytes, offset, length] = args
        if (bytes.subarray(offset, offset + length).every((byte) => byte === 0)) pieces.push(length)
        return realDisk.write(...args)
      }
    })
    const segmentBytes = 300_000
    const walDir = join(createFolder(), 'wal')
    const log = await withInternals({ disk }, () => WriteAheadLog.open({ walDir, segmentBytes }))
    const record = Buffer.alloc(1_000, 'x')
    log.logSync([record])
    const filled = (): number => pieces.reduce((sum, bytes) => sum + bytes, 0)
    expect(filled()).toBeGreaterThan(segmentBytes - 16_384)
    // From half of the segment on the next one is prepared.
    while (log.stats().bytes < segmentBytes / 2 + 2_000) log.logSync([record])
    await until(() => filled() >= 2 * segmentBytes - 16_384)
    // One is the room that is kept for noting a release.
    expect(pieces.filter((bytes) => bytes > 16_384)).toEqual([65_536])
    await log.close()
  }
)
