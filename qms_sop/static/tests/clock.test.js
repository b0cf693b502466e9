import {expect, test} from "@odoo/hoot";
import {allowTranslations} from "@web/../tests/web_test_helpers";
import {clockAt, sayRemaining} from "@qms_sop/components/clock/clock_time";

const SAID = "2026-03-06T14:00:00Z";
const at = (text) => Date.parse(text);
const clock = (values) => ({
    state: "running",
    deadline: "2026-03-06T15:00:00Z",
    at_risk_at: "2026-03-06T14:45:00Z",
    remaining_minutes: 60,
    ticks: true,
    open: null,
    ...values,
});

test("a clock runs down, is at risk, and is overdue", () => {
    expect(clockAt(clock(), SAID, at("2026-03-06T14:10:00Z"))).toEqual({
        state: "running",
        remaining: 50,
    });
    expect(clockAt(clock(), SAID, at("2026-03-06T14:45:00Z")).state).toBe("at_risk");
    expect(clockAt(clock(), SAID, at("2026-03-06T15:30:00Z"))).toEqual({
        state: "breached",
        remaining: -30,
    });
});

test("a paused and a stopped clock stand still", () => {
    const paused = clock({state: "paused", ticks: false});
    expect(clockAt(paused, SAID, at("2026-03-09T00:00:00Z")).remaining).toBe(60);
    const met = clock({state: "met", ticks: false, remaining_minutes: null});
    expect(clockAt(met, SAID, at("2026-03-09T00:00:00Z"))).toEqual({
        state: "met",
        remaining: null,
    });
});

test("what was overdue before the hold is not more overdue after it", () => {
    const held = clock({state: "breached", ticks: false, remaining_minutes: -10});
    expect(clockAt(held, SAID, at("2026-03-09T00:00:00Z"))).toEqual({
        state: "breached",
        remaining: -10,
    });
});

test("only opening times count", () => {
    const office = clock({
        deadline: "2026-03-09T08:30:00Z",
        at_risk_at: "2026-03-09T08:15:00Z",
        open: [
            ["2026-03-06T14:00:00Z", "2026-03-06T14:30:00Z"],
            ["2026-03-09T08:00:00Z", "2026-03-09T16:00:00Z"],
        ],
    });
    expect(clockAt(office, SAID, at("2026-03-06T14:20:00Z")).remaining).toBe(40);
    expect(clockAt(office, SAID, at("2026-03-08T12:00:00Z"))).toEqual({
        state: "running",
        remaining: 30,
    });
    expect(clockAt(office, SAID, at("2026-03-09T08:40:00Z"))).toEqual({
        state: "breached",
        remaining: -10,
    });
});

test("what is left is said as people say it", () => {
    allowTranslations();
    expect(sayRemaining(0.5)).toBe("30 s left");
    expect(sayRemaining(4.2)).toBe("4 min 12 s left");
    expect(sayRemaining(59.9)).toBe("59 min left");
    expect(sayRemaining(-65)).toBe("1 h 05 min overdue");
    expect(sayRemaining(3000)).toBe("2 d 2 h left");
});
