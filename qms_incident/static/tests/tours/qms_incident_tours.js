import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

function press(name) {
    return {
        trigger: `.o_statusbar_buttons button[name=${name}]:enabled`,
        run: "click",
    };
}

function reached(state) {
    return {
        trigger: `.o_statusbar_status button.o_arrow_button_current:contains(${state})`,
    };
}

// Open, tell stakeholders, resolve, review and close.
tours.add("qms_incident_tour", {
    steps: () => [
        {
            content: "What an incident is, is said where there is none",
            trigger: ".o_view_nocontent:contains(what happened to users)",
        },
        {
            trigger: ".o-kanban-button-new",
            run: "click",
        },
        {
            trigger:
                ".o_form_view div[name=title] textarea, .o_form_view div[name=title] input",
            run: "edit Schedules cannot be generated",
        },
        {
            trigger: "div[name=severity_id] input",
            run: "edit Low",
        },
        {
            trigger: ".o-autocomplete--dropdown-item:contains(Low) a",
            run: "click",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "It has a number",
            trigger: ".oe_title div[name=name]:contains(INC-)",
        },
        press("action_triage"),
        reached("Triaged"),
        {
            trigger: ".o_notebook a[name=timeline]",
            run: "click",
        },
        {
            trigger: ".o_notebook button:contains(Add an entry)",
            run: "click",
        },
        {
            trigger: ".modal div[name=text] textarea",
            run: "edit Migration applied",
        },
        {
            trigger: ".modal div[name=evidence] input",
            run: "edit alembic upgrade head",
        },
        {
            trigger: ".modal button[name=action_add]",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
        {
            content: "The entry stands in the timeline, with its evidence",
            trigger:
                ".o_qms_incident_timeline tr:contains(Migration applied):contains(alembic)",
        },
        {
            trigger: ".o_statusbar_buttons button:contains(Tell stakeholders)",
            run: "click",
        },
        {
            trigger: ".modal div[name=message] textarea",
            run: "edit Schedules can be generated again",
        },
        {
            trigger: ".modal div[name=public_text] textarea",
            run: "edit The disturbance is over",
        },
        {
            trigger: ".modal button[name=action_send]",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
        press("action_mitigate"),
        reached("Mitigated"),
        press("action_resolve"),
        reached("Resolved"),
        {
            content: "What closing needs is listed",
            trigger:
                ".alert:contains(Missing before it can be closed) li:contains(Prevention)",
        },
        press("action_review"),
        reached("Reviewed"),
        press("action_open_postmortem"),
        {
            content: "Its post-mortem begins with what is known",
            trigger: ".o_breadcrumb:contains(Post-mortem INC-)",
        },
        reached("Draft"),
        {
            trigger: ".o_breadcrumb .o_back_button a",
            run: "click",
        },
        {
            trigger: ".oe_stat_button[name=action_open_postmortem]:contains(Draft)",
        },
        {
            trigger: ".o_notebook a[name=impact]",
            run: "click",
        },
        {
            trigger: "div[name=users_affected] input",
            run: "edit 0",
        },
        {
            trigger: "div[name=operations_affected] textarea",
            run: "edit Generating schedules",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "Nobody affected is an answer",
            trigger:
                ".alert:contains(Missing before it can be closed):not(:contains(how many users))",
        },
        {
            trigger: ".o_statusbar_buttons button[name=action_close_anyway]",
            run: "click",
        },
        {
            trigger: ".modal div[name=comment] textarea",
            run: "edit A drill, nothing to learn",
        },
        {
            trigger: ".modal div[name=password] input",
            run: "edit qms_manager",
        },
        {
            trigger: ".modal footer .btn-primary:visible",
            run: "click",
        },
        reached("Closed"),
        {
            trigger: ".alert:contains(Closed all the same):contains(nothing to learn)",
        },
    ],
});
