import { allAtOnce } from './all-at-once.ts'
import { closeOnFullDisk } from './life.ts'

allAtOnce(
  'close on a disk that stays full rejects with the exact number of records lost, and is silent afterwards:',
  60_000,
  closeOnFullDisk
)
