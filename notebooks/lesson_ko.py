"""The same as `lesson`, and its sentences in Korean."""

from __future__ import annotations

from lesson import SAYS, agree, answer, exercise, show

__all__ = ["agree", "answer", "exercise", "show"]

SAYS.update({
    "same": "{what}: 같은 값입니다.",
    "close": "{what}: 상대 오차 {apart:.0e} 안에서 일치합니다.",
    "missing": "연습 {number}: 점 세 개(...) 자리에 답을 쓰세요. 힌트: {hint}",
    "shape": "연습 {number}: 아직 아닙니다. 형상이 {wanted}이어야 하는데 {got}입니다. 힌트: {hint}",
    "wrong": "연습 {number}: 아직 아닙니다. 힌트: {hint}",
    "right": "연습 {number}: 맞았습니다.",
    "answer": "연습 {number}의 정답",
    "value": "    값: {value}",
})
