import { conformance } from './conformance.ts'
import { eventFilesOver } from './subjects/event-files.ts'

conformance(eventFilesOver('direct-file'))
