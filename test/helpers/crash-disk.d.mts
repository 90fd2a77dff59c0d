import type { Disk } from '../../src/io/disk.ts'

export function createState(): SharedArrayBuffer
export function dieAfter(state: SharedArrayBuffer, calls: number, isHalf: boolean): void
export function isDead(state: SharedArrayBuffer): boolean
export function durableBytes(state: SharedArrayBuffer): Map<number, number>
export function createDisk(realDisk: unknown, data: { state: SharedArrayBuffer }): Disk
