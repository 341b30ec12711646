# bash completion for pail(1)

_pail_buckets() {
  # Asks the daemon of the store that the command line or the current directory names; silent when there is none.
  local store=() i
  for ((i = 1; i < ${#COMP_WORDS[@]} - 1; i++)); do
    if [[ ${COMP_WORDS[i]} == --store ]]; then store=(--store "${COMP_WORDS[i + 1]}"); fi
  done
  pail bucket list "${store[@]}" </dev/null 2>/dev/null | while read -r name _; do printf '%s\n' "$name"; done
}

_pail() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local common='--store --json --key-file --passphrase-file --recovery-key-file --help'
  local noun='' verb='' words='' i
  COMPREPLY=()
  # The words before the cursor that are neither options nor their values.
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --store | --key-file | --passphrase-file | --recovery-key-file | --label | --versioning | --older-than | --keep | \
        --version | --at | --from | --to | --days | --count | --years | --mode | --until | --mfa | --code | \
        --new-key-file | --new-passphrase-file | --type | --bucket | --cases | --grant | --group | --uid | --gid | --policy | \
        --trust | --max-session | --unit | --cgroup | --session | --duration) ((i++)) ;;
      -*) ;;
      *) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi ;;
    esac
  done

  case $previous in
    --store)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      compopt -o filenames
      return
      ;;
    --key-file | --passphrase-file | --recovery-key-file | --new-key-file | --new-passphrase-file | --cases | --cgroup)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      compopt -o filenames
      return
      ;;
    --versioning) words='enabled suspended off' ;;
    --older-than) words='1d 7d 30d 90d 1y' ;;
    --type) words='identity boundary bucket trust' ;;
    --duration | --max-session) words='15m 1h 3h 12h' ;;
    --mode) words='governance compliance' ;;
    --label | --grant | --keep | --bucket | --until | --days | --years | --version | --mfa | --code | --group | --uid | --gid | \
      --policy | --unit | --session) return ;;
    *)
      case $noun,$verb in
        ,)
          words='init status check scrub backup restore rebuild-index repair bucket versioning versions rewind usage lock mfa'
          words+=' key acl ownership policy public public-access-block explain'
          words+=' user group role service managed-policy whoami assume --version --help'
          ;;
        bucket,) words='list show create delete' ;;
        versioning,) words='enable suspend status keep' ;;
        versions,) words='list show restore undelete diff purge prune' ;;
        acl,) words='get put' ;;
        lock,) words='enable default status retain hold release' ;;
        mfa,) words='enroll status remove enable disable' ;;
        key,) words='list add change remove' ;;
        policy,) words='put get edit delete list validate lint simulate' ;;
        public-access-block,) words='get put delete' ;;
        user,) words='list show create delete map put-policy delete-policy attach detach boundary tag untag' ;;
        group,) words='list show create delete map add remove put-policy delete-policy attach detach' ;;
        role,)
          words='list show create delete trust max-session put-policy delete-policy attach detach boundary tag untag'
          ;;
        service,) words='list show create delete map' ;;
        managed-policy,) words='list show create update default delete-version delete' ;;
        init,*) words="$common --label --recovery-key" ;;
        check,*) words="$common --deep" ;;
        repair,*) words="$common --dry-run --yes" ;;
        scrub,*) words="$common --now" ;;
        bucket,create) words="$common --versioning --object-lock" ;;
        bucket,delete) words="$common --purge --yes --bypass-governance --mfa" ;;
        versioning,enable | versioning,suspend) words="$common --mfa" ;;
        versioning,keep) words="$common --days --count --none" ;;
        versions,show) words="$common --version" ;;
        versions,purge) words="$common --version --yes --bypass-governance --mfa" ;;
        versions,restore) words="$common --version --at --dry-run" ;;
        versions,undelete) words="$common --dry-run" ;;
        versions,diff) words="$common --from --to" ;;
        rewind,*) words="$common --to --keep-newer --dry-run --yes" ;;
        versions,prune) words="$common --older-than --keep --dry-run --yes --mfa" ;;
        acl,put) words="$common --grant" ;;
        lock,default) words="$common --mode --days --years --none" ;;
        lock,retain) words="$common --version --mode --until --days --years --none --bypass-governance" ;;
        lock,status | lock,hold | lock,release) words="$common --version" ;;
        mfa,enroll) words="$common --label" ;;
        mfa,remove | mfa,enable | mfa,disable) words="$common --code" ;;
        key,add | key,change) words="$common --new-key-file --new-passphrase-file --recovery --label" ;;
        key,remove) words="$common --yes" ;;
        explain,*) words="$common --group" ;;
        policy,validate) words='--type --bucket --accept-unknown-keys --json --help' ;;
        policy,lint) words="$common --type --bucket --all-buckets" ;;
        public-access-block,put)
          words="$common --whole-store --all --block-public-acls --ignore-public-acls --block-public-policy"
          words+=' --restrict-public-buckets'
          ;;
        public-access-block,*) words="$common --whole-store" ;;
        user,show | group,show) words="$common --policy" ;;
        role,show) words="$common --policy --trust" ;;
        user,map) words="$common --uid --remove" ;;
        group,map) words="$common --gid --remove" ;;
        user,put-policy | group,put-policy | role,put-policy | role,trust | managed-policy,create)
          words="$common --accept-unknown-keys"
          ;;
        user,boundary | role,boundary) words="$common --none" ;;
        role,create) words="$common --trust --max-session --accept-unknown-keys" ;;
        service,create) words="$common --unit --cgroup" ;;
        service,map) words="$common --unit --cgroup --remove" ;;
        managed-policy,update) words="$common --keep-default --accept-unknown-keys" ;;
        managed-policy,show) words="$common --version" ;;
        assume,*) words="$common --session --duration" ;;
        policy,simulate) words='--cases --why --help' ;;
        *) words=$common ;;
      esac
      case $current,$noun,$verb in
        -*) ;;
        *,bucket,show | *,bucket,delete | *,versioning,?* | *,versions,prune | *,versions,diff | *,rewind,* | \
          *,acl,?* | *,ownership, | *,lock,enable | *,lock,default | *,lock,status | *,mfa,enable | *,mfa,disable | \
          *,public,* | *,public-access-block,?*) words=$(_pail_buckets) ;;
        *,ownership,?*) words='ObjectWriter BucketOwnerPreferred BucketOwnerEnforced' ;;
        *,init,* | *,status,* | *,check,* | *,scrub,* | *,backup,* | *,restore,* | *,rebuild-index,* | *,repair,*) words= ;;
        *,policy,?* | *,explain,* | *,user,?* | *,group,?* | *,role,?* | *,service,?* | *,managed-policy,?* | *,assume,*) words= ;;
      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  case $current,$noun,$verb in
    -*) ;;
    *,init,* | *,status,* | *,check,* | *,scrub,* | *,backup,* | *,restore,* | *,rebuild-index,* | *,repair,* | *,versions,list | *,versions,prune | \
      *,policy,?* | *,acl,?* | *,explain,* | *,user,put-policy | *,group,put-policy | *,role,put-policy | *,role,trust | \
        *,managed-policy,create | *,managed-policy,update | *,assume,?* | *,lock,status | *,lock,retain | *,lock,hold | *,lock,release)
      local files
      mapfile -t files < <(compgen -f -- "$current")
      COMPREPLY+=("${files[@]}")
      compopt -o filenames
      ;;
  esac
}

complete -F _pail pail
