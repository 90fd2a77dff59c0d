import type { Disk } from '../../src/io/disk.ts'

export function createDisk(realDisk: Disk, data: { words: Int32Array; folder: string }): Disk
