// Every sink there is, as the conformance suite sees it. `registry.test.ts` fails for one that is missing here.
import type { Subject } from '../subject.ts'
import { binaryFile } from './binary-file.ts'
import { directFile } from './direct-file.ts'
import { eventFiles } from './event-files.ts'
import { rotatingFile } from './rotating-file.ts'
import { spool } from './spool.ts'
import { wal } from './wal.ts'

export const subjects: readonly Subject[] = [rotatingFile, binaryFile, directFile, wal, spool, ...eventFiles]
