import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const inState = (label) => ({
    content: `The state is ${label}`,
    trigger: `.o_statusbar_status button[aria-checked=true]:contains("${label}")`,
});

/** Start the step on the screen, note its result, and complete it. */
const workStep = (name, result) => [
    {
        content: `The step "${name}" is on the screen`,
        trigger: `.o_qms_run_step_form h1:contains("${name}")`,
    },
    {trigger: "button[name=start]", run: "click"},
    inState("In progress"),
    {
        content: "Note the result",
        trigger: ".o_qms_card_result div[name=actual_result] textarea",
        run: `edit ${result}`,
    },
    {trigger: "button[name=complete]", run: "click"},
    inState("Completed"),
];

const nextStep = {
    content: "Go on to the next step",
    trigger: ".o_qms_step_next.btn-primary",
    run: "click",
};

tours.add("qms_sop_run_tour", {
    steps: () => [
        {
            content: "Open the wizard",
            trigger: ".o_control_panel button:contains(Start a run)",
            run: "click",
        },
        {
            content: "Choose the SOP",
            trigger: ".modal div[name=sop_id] input",
            run: "edit SOP-TEST-001",
        },
        {
            trigger: ".o-autocomplete--dropdown-item:contains(SOP-TEST-001) a",
            run: "click",
        },
        {
            content: "Paste a log",
            trigger: ".modal div[name=log_text] textarea",
            run: "edit psycopg2.pool.PoolError: connection pool exhausted",
        },
        {
            content: "Say what was observed",
            trigger: ".modal div[name=summary] textarea",
            run: "edit Nothing gets a connection",
        },
        {
            content: "The catalogue named the error, and said why",
            trigger: ".modal .alert:contains(matches the pattern)",
        },
        {
            trigger:
                ".modal div[name=error_code_id] input:value(DB_CONNECTION_TIMEOUT)",
        },
        {trigger: ".modal div[name=severity_id] input:value(Critical)"},
        {trigger: ".modal button[name=action_start]", run: "click"},
        inState("In progress"),
        {
            content: "Every step is to do",
            trigger: ".o_qms_run_form .o_qms_step_pending:eq(2)",
        },
        {trigger: "button[name=action_open_current_step]", run: "click"},
        ...workStep("Look", "Twenty idle connections"),
        nextStep,
        ...workStep("Mend", "Restarted with a larger pool"),
        nextStep,
        {
            content: "The last step is not needed",
            trigger: ".o_qms_run_step_form h1:contains(Tidy up)",
        },
        {trigger: ".o_statusbar_buttons button:contains(Skip)", run: "click"},
        {
            trigger: ".modal div[name=reason] textarea",
            run: "edit Nothing was left behind",
        },
        {
            trigger: ".modal button[name=action_confirm]:visible:contains(Skip step)",
            run: "click",
        },
        {
            content: "Everything is done: back to the run",
            trigger: ".o_qms_all_done button",
            run: "click",
        },
        {
            content: "Complete the run",
            trigger:
                ".o_qms_run_form .o_statusbar_buttons .btn-primary:contains(Complete)",
            run: "click",
        },
        {
            trigger: ".modal div[name=resolution] textarea",
            run: "edit Larger pool, leak reported",
        },
        {trigger: ".modal button[name=action_confirm]", run: "click"},
        inState("Completed"),
        {
            content: "A finished run offers nothing that would be refused",
            trigger: ".o_qms_run_form:not(:has(button[name=action_open_current_step]))",
        },
        {
            content: "and is not edited any more",
            trigger:
                ".o_qms_run_form div[name=summary]:not(:has(textarea)):contains(Nothing gets)",
        },
    ],
});

tours.add("qms_sop_empty_tour", {
    steps: () => [
        {
            content: "An empty list says what a run is, and how to start one",
            trigger: ".o_view_nocontent:contains(Start a run)",
        },
        {
            trigger: ".o_control_panel button:contains(Start a run)",
        },
        {
            content: "So does an empty board",
            trigger: ".o_switch_view.o_kanban",
            run: "click",
        },
        {trigger: ".o_kanban_view .o_control_panel button:contains(Start a run)"},
        {trigger: ".o_kanban_view .o_view_nocontent:contains(one execution of an SOP)"},
    ],
});

tours.add("qms_sop_auditor_tour", {
    steps: () => [
        {
            content: "An auditor is not offered to start a run",
            trigger: ".o_list_view:not(:has(button:contains(Start a run)))",
        },
        {trigger: ".o_data_row td[name=name]", run: "click"},
        {
            content: "The run has no button in its header, and none in its rows",
            trigger:
                ".o_qms_run_form:not(:has(.o_statusbar_buttons button)):not(:has(.o_qms_run_steps td button))",
        },
        {
            content: "and no field to type in",
            trigger: ".o_qms_run_form .o_form_sheet:not(:has(textarea, input.o_input))",
        },
        {
            content: "A duration reads as people say it; an unknown one is blank",
            trigger:
                ".o_data_row:contains(Look) td[name=duration]:contains(1 h 15 min)",
        },
        {trigger: ".o_data_row:contains(Mend) td[name=duration]:empty"},
        {trigger: ".nav-link[name=rca]", run: "click"},
        {
            trigger:
                ".o_qms_run_form:not(:has(button:contains(Record root cause))) div[name=rca_ids]",
        },
        {trigger: ".o_qms_step_strip .o_qms_step:first button", run: "click"},
        {
            content: "Nor has a step",
            trigger:
                ".o_qms_run_step_form:not(:has(.o_statusbar_buttons button)) h1:contains(Look)",
        },
        {trigger: ".o_qms_step_next", run: "click"},
        {trigger: ".o_qms_run_step_form h1:contains(Mend)"},
    ],
});

tours.add("qms_sop_author_tour", {
    steps: () => [
        {trigger: ".o_list_button_add", run: "click"},
        {trigger: "div[name=code] input", run: "edit SOP-TOUR-001"},
        {trigger: "div[name=name] textarea, div[name=name] input", run: "edit Toured"},
        {trigger: "div[name=owner] input", run: "edit Tour team"},
        {trigger: "div[name=purpose] textarea", run: "edit To be toured."},
        {
            content: "Add a step",
            trigger: "div[name=step_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {trigger: ".modal div[name=name] input", run: "edit Only step"},
        {
            trigger: ".modal div[name=instructions] textarea",
            run: "edit Do it **well**.",
        },
        {trigger: ".modal .o_form_button_save", run: "click"},
        {trigger: "div[name=step_ids] .o_data_row:contains(Only step)"},
        {trigger: "button[name=action_submit]", run: "click"},
        inState("In review"),
        {
            content: "An author does not approve",
            trigger: ".o_form_view:not(:has(button[name=action_approve]))",
        },
        {
            content: "A step opens as a page, with its instructions rendered",
            trigger: "div[name=step_ids] .o_data_row td[name=name]",
            run: "click",
        },
        {trigger: ".o_qms_markdown strong:contains(well)"},
    ],
});

tours.add("qms_sop_commands_tour", {
    steps: () => [
        {trigger: ".o_data_row td[name=code]:contains(SOP-TRIAGE-001)", run: "click"},
        {
            trigger: "div[name=step_ids] td[name=name]:contains(Gather Evidence)",
            run: "click",
        },
        {
            content: "A command stands there as it is typed, to the last blank",
            trigger: ".o_qms_command:contains(Deployment log) .o_qms_command_text",
            run() {
                const text = this.anchor.textContent;
                if (
                    text !==
                    "doctl apps logs $DO_APP_ID --type deploy --tail 500 > deployment.log"
                ) {
                    throw new Error(`The command reads: ${JSON.stringify(text)}`);
                }
            },
        },
        {trigger: ".o_qms_command:contains(Deployment log) .o_qms_copy"},
        {
            content: "The step after it is one click away",
            trigger: ".o_pager_next",
            run: "click",
        },
        {trigger: ".o_form_view h1:contains(Root Cause Analysis)"},
    ],
});

tours.add("qms_sop_path_tour", {
    steps: () => [
        {trigger: "button[name=action_open_current_step]", run: "click"},
        {
            content: "The first question is on the screen",
            trigger: ".o_qms_run_step_form h1:contains(Up?)",
        },
        {
            content: "Its command is filled in; what is not known stays visible",
            trigger: ".o_qms_command_text",
            run() {
                const text = this.anchor.textContent;
                const value = this.anchor.querySelector(".o_qms_placeholder_value");
                const missing = this.anchor.querySelector(".o_qms_placeholder_missing");
                if (
                    !/^ask --run RUN-\d{6,} "\$ERROR_CODE"$/.test(text) ||
                    !text.includes(` ${value.textContent} `) ||
                    missing.textContent !== "$ERROR_CODE"
                ) {
                    throw new Error(`The command reads: ${this.anchor.innerHTML}`);
                }
            },
        },
        {trigger: ".o_qms_names_missing:contains(ERROR_CODE)"},
        {
            content: "What is copied is what is shown",
            trigger: ".o_qms_copy",
            async run(helpers) {
                let copied = "";
                navigator.clipboard.write = async ([item]) => {
                    copied = await (await item.getType("text/plain")).text();
                };
                navigator.clipboard.writeText = async (text) => {
                    copied = text;
                };
                await helpers.click();
                await new Promise((resolve) => setTimeout(resolve, 100));
                const shown = document.querySelector(".o_qms_command_text").textContent;
                if (copied !== shown) {
                    throw new Error(`Copied: ${JSON.stringify(copied)}`);
                }
            },
        },
        {
            content: "It can be seen as it was approved, too",
            trigger: ".o_qms_as_written",
            run: "click",
        },
        {trigger: ".o_qms_command_text:contains($RUN_NAME)"},
        {trigger: "button[name=start]", run: "click"},
        inState("In progress"),
        {
            content: "Complete it without an answer: the dialog asks for it",
            trigger: ".o_statusbar_buttons .btn-primary:contains(Complete)",
            run: "click",
        },
        {
            trigger: ".modal div[name=choice_id] label:contains(Yes)",
            run: "click",
        },
        {trigger: ".modal button[name=action_confirm]:visible", run: "click"},
        inState("Completed"),
        {
            content: "The way leads past the restart",
            trigger: ".o_qms_step:eq(1).o_qms_step_off_path",
        },
        nextStep,
        {trigger: ".o_qms_run_step_form h1:contains(Slow?)"},
        {trigger: "button[name=start]", run: "click"},
        inState("In progress"),
        {
            content: "Answer on the page itself",
            trigger: ".o_qms_card_result div[name=choice_id] label:contains(Quick)",
            run: "click",
        },
        {trigger: "button[name=complete]", run: "click"},
        inState("Completed"),
        {trigger: ".o_qms_all_done"},
        {
            content: "Take the last answer back",
            trigger: ".o_statusbar_buttons button:contains(Decide again)",
            run: "click",
        },
        {trigger: ".modal .btn-primary", run: "click"},
        inState("In progress"),
        {
            content: "The last step is to do again",
            trigger: ".o_qms_step:eq(3).o_qms_step_pending:not(.o_qms_step_off_path)",
        },
        {
            content: "Back to the run, which shows the path as a picture",
            trigger: ".o_breadcrumb a:contains(RUN-)",
            run: "click",
        },
        {
            content: "The list of the steps says that it is not on the path",
            trigger:
                ".o_qms_run_steps .o_data_row:contains(Restart) .badge:contains(Not on this path)",
        },
        {trigger: ".o_qms_run_form .nav-link[name=flow]", run: "click"},
        {
            trigger:
                ".o_qms_flow_picture .o_qms_flow_choice.o_qms_flow_taken:contains(Yes)",
        },
        {
            trigger:
                ".o_qms_flow_picture .o_qms_flow_step.o_qms_flow_muted:contains(Restart)",
        },
    ],
});
