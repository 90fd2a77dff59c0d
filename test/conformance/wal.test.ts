import { conformance } from './conformance.ts'
import { wal } from './subjects/wal.ts'

conformance(wal)
