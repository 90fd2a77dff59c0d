# Generated from src/cli/ by `npm run docs`; do not edit.
_logboom() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" = help ]; }; then
    mapfile -t COMPREPLY < <(compgen -W 'cat tail merge info top metrics report verify repair recover rotate pipe convert adopt ship help' -- "$cur")
    return
  fi
  case ${COMP_WORDS[1]} in
    cat) words='--level --since --until --grep --ignore-case -i --where --lines -n --fields --pretty --format --json --raw --framed --from --cursor-file --on-corrupt --help' ;;
    tail) words='--follow -f --lines -n --level --since --until --grep --ignore-case -i --where --fields --pretty --format --json --raw --framed --from --cursor-file --help' ;;
    merge) words='--level --since --until --grep --ignore-case -i --where --lines -n --fields --pretty --format --json --raw --framed --help' ;;
    info) words='--count --json --format --help' ;;
    top) words='--once --json --interval --help' ;;
    metrics) words='--help' ;;
    report) words='--level --since --until --grep --ignore-case -i --where --format --help' ;;
    verify) words='--json --quiet -q --format --help' ;;
    repair) words='--json --format --help' ;;
    recover) words='--dir --dry-run --timeout --json --help' ;;
    rotate) words='--timeout --json --help' ;;
    pipe) words='--path --max-bytes --rotate-every --rotate-at --time-zone --backup-name --backup-dir --rotate-on-start --truncate-on-start --max-backups --max-age --max-total-bytes --max-retained-bytes --max-retained-age --compress --on-finished --finished-wait --min-free-bytes --prefix --header --lock --lock-timeout --statistics --lane --fsync-on-rotate --durability --flush-interval --max-buffer-bytes --overflow --mode --dir-mode --mkdir --foreign-owner --fallback --buffer-size --num-shards --flush-timeout --preallocate --direct-i-o --instance --dir --temp --size --workers --timeout --permission --queue --wal-dir --snap-dir --sync-interval --segment-bytes --metadata --dump-on-failure --keep-segments --output --event-key --default-event --max-open-files --idle-close --max-events --help' ;;
    convert) words='--to --newlines --format --max-bytes --rotate-every --rotate-at --time-zone --backup-name --backup-dir --rotate-on-start --truncate-on-start --max-backups --max-age --max-total-bytes --max-retained-bytes --max-retained-age --compress --on-finished --finished-wait --min-free-bytes --prefix --header --lock --lock-timeout --statistics --lane --fsync-on-rotate --durability --flush-interval --max-buffer-bytes --overflow --mode --dir-mode --mkdir --foreign-owner --fallback --buffer-size --num-shards --flush-timeout --preallocate --direct-i-o --instance --temp --size --workers --timeout --permission --queue --snap-dir --sync-interval --segment-bytes --metadata --dump-on-failure --keep-segments --output --event-key --default-event --max-open-files --idle-close --max-events --help' ;;
    adopt) words='--from --apply --files --backup-name --backup-dir --date-pattern --utc --tailable --tidy --even-if-open --timeout --json --help' ;;
    ship) words='--to --url --region --subject --topic --transactional-id --sasl --service --authorization-file --headers-file --credentials-file --ca-file --cert-file --key-file --consumer --checkpoint --rejected --follow --remove-shipped --on-lost --batch-bytes --batch-records --batch-age --max-rejected --help' ;;
  esac
  case $cur in
    -*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    *)
      if [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" = pipe ]; then
        mapfile -t COMPREPLY < <(compgen -W 'rotating-file direct-file spool binary-file wal event-files' -- "$cur")
      fi
      ;;
  esac
}
complete -o default -F _logboom logboom
