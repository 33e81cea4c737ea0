#!/usr/bin/env bash
# Repeats a table of docs/results.md.
#   CLIPS="clips/a clips/b" WEIGHTS=edanet_cityscapes.safetensors OUT=out scripts/results.sh TABLE
# shellcheck disable=SC2086  # CLIPS is a list
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH=${PYTHONPATH:-$root/build/python} PATH=$root/.venv/bin:$root/build/bin:$PATH
: "${CLIPS:=}" "${WEIGHTS:=${AMS_DATA_DIR:-$root/../shared/data}/weights/edanet_cityscapes.safetensors}" "${OUT:=out}"
table=${1:-}
[ -n "$CLIPS" ] || table=help

case "$table" in
  default_settings)
    python -m ams.experiments pace --clips $CLIPS --weights "$WEIGHTS" --out "$OUT" --seeds 1 \
      --rows own own_half_steps own_2_kbps own_1_kbps ten_seconds
    python -m ams.experiments pace --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/stream" --seeds 1 \
      --rows own --stream
    ;;
  five_schemes)
    python -m ams.experiments table1 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT"
    python -m ams.experiments table2 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT"
    python -m ams.experiments fig4 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT"
    ;;
  what_to_send)
    python -m ams.experiments bandwidth --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/bandwidth" \
      --iterations 10 --batch-size 4 --seeds 3 --learning-rate-factors 0.5 1 2 4 \
      --series no_customization full/reference gradient_guided@0.05/reference normalization_and_head/compact
    python -m ams.experiments bandwidth --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/bandwidth" \
      --iterations 10 --batch-size 4 --seeds 3 --learning-rate-factors 0.25 0.5 1 2 \
      --series budget --budgets-kbps 1 1.25 2 10
    python -m ams.experiments bandwidth --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/bandwidth" \
      --iterations 10 --batch-size 4 --seeds 1 --learning-rate-factors 1 \
      --series full/compact random@0.05/compact first_layers@0.05/compact last_layers@0.02/compact \
      last_layers@0.05/compact normalization/compact gradient_guided@0.05/compact
    ;;
  stream)
    python -m ams.experiments bandwidth --stream --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/stream" \
      --iterations 10 --batch-size 4 --seeds 1 --buffer-samples 60 --learning-rate-factors 1 \
      --budgets-kbps 1 2 5 10 50 --series no_customization full gradient_guided@0.05 \
      last_layers@0.05 normalization_and_head budget just_in_time@0.55
    ;;
  strategies)
    python -m ams.experiments table3 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/short" \
      --iterations 10 --batch-size 4 --learning-rate-weight 1
    ;;
  another_student)
    mkdir -p "$OUT"
    ams-pretrain --student deeplabv3_mobilenetv2 --streets 32 --steps 300 --out "$OUT/street_deeplab.safetensors"
    python -m ams.experiments pretrain --leave-one-out --clips $CLIPS --student deeplabv3_mobilenetv2 \
      --weights "$OUT/street_deeplab.safetensors" --steps 100 --out "$OUT/students"
    python -m ams.experiments bandwidth --clips $CLIPS --student deeplabv3_mobilenetv2 \
      --weights "$OUT/students/without_{clip}.safetensors" --out "$OUT/deeplab" \
      --iterations 10 --batch-size 4 --seeds 3 --no-learning-rates-by-size \
      --learning-rate-factors 0.0625 0.125 0.25 0.5 1 \
      --series no_customization full/reference gradient_guided@0.05/reference normalization_and_head/compact
    python -m ams.experiments bandwidth --clips $CLIPS --student deeplabv3_mobilenetv2 \
      --weights "$OUT/students/without_{clip}.safetensors" --out "$OUT/deeplab" \
      --iterations 10 --batch-size 4 --seeds 3 --learning-rate-factors 0.5 1 --series budget --budgets-kbps 10
    ;;
  other_figures)
    python -m ams.experiments fig3 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT"
    python -m ams.experiments fig5 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT"
    python -m ams.experiments fig6 --clips $CLIPS --weights "$WEIGHTS" --out "$OUT/short" --max-seconds 36 \
      --iterations 10 --batch-size 4 --learning-rate-weight 1 --devices 1 6 12
    ;;
  *)
    echo "usage: CLIPS='FOLDER ...' [WEIGHTS=FILE] [OUT=FOLDER] $0 TABLE, one of:" >&2
    sed -n 's/^  \([a-z_]*\))$/  \1/p' "$0" >&2
    exit 2
    ;;
esac
