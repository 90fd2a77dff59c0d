// The operations of the disk that sinks on a shared file use, and whose failure they must survive.
import { native } from '../../src/native/index.ts'
import type { Operation } from '../helpers/faulty-disk.ts'

export const sharedFileOperations: readonly Operation[] = [
  'open',
  'write',
  'lstat',
  'fstat',
  'chmod',
  'renameNoReplace',
  'readdir',
  'exists',
  'fdatasync',
  'fdatasyncAsync',
  'fsync',
  ...(native.canLock ? (['read', 'lock', 'close'] as const) : [])
]
